//! `huggate explain`: how a request would be decided, and why.

mod cases;
mod json_report;
mod loaded_gate;
mod text_report;

use std::io::Read;
use std::path::{Path, PathBuf};

use http::Method;
use huggate::Gate;
use huggate::config::{Config, Environment};
use huggate::explain::{Explanation, SampleRequest, TestSubject, TestSubjectError, Who};
use huggate::session::Inspected;

use super::check::gate_beside;
use super::failure::Failure;
use super::runtime::runtime;
use loaded_gate::LoadedGate;

/// Maximum size of a cookie file.
const MAX_COOKIE: u64 = 256 * 1024;

const EXAMPLES: &str = "\
Examples:
  huggate explain /admin
  huggate explain --user ben --org acme:write POST /models/new
  huggate explain --cookie - https://app.example.com/admin < cookie.txt
  huggate explain --cases cases.toml

Nothing is sent: the rules of the configuration are evaluated as they are for
requests. Organisations, e-mail address and PRO that are not given are absent;
ids and roles that are not given are unknown.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Method [default: GET]
    #[arg(value_name = "METHOD")]
    first: Option<String>,
    /// Path at the public URL, or an absolute URL
    #[arg(value_name = "URL")]
    second: Option<String>,
    /// Who sends the request: a username or id [default: nobody is signed in]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The account's id, for rules with ids
    #[arg(long, value_name = "ID", requires = "user")]
    id: Option<String>,
    /// An organisation the person is in: acme, acme:admin, or with its id acme=ID:admin
    #[arg(long = "org", value_name = "ORG[:ROLE]", requires = "user")]
    orgs: Vec<String>,
    /// A resource group the person is in: acme/gpu-team, or acme/gpu-team:write
    #[arg(long = "resource-group", value_name = "ORG/GROUP[:ROLE]", requires = "user")]
    resource_groups: Vec<String>,
    /// The person's verified e-mail address
    #[arg(long, value_name = "ADDRESS", requires = "user")]
    email: Option<String>,
    /// The person has a PRO account
    #[arg(long, requires = "user")]
    pro: bool,
    /// Take the person from the session cookie in this file; - is standard input
    #[arg(long, alias = "cookie-file", value_name = "FILE", conflicts_with = "user")]
    cookie: Option<PathBuf>,
    /// Explain the CORS preflight of the request instead
    #[arg(long)]
    preflight: bool,
    /// Run the test cases in this file, and fail if one has another result than expected
    #[arg(long, value_name = "FILE", conflicts_with_all = ["first", "user", "cookie", "preflight"])]
    cases: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Explains, and returns the output.
pub(crate) fn run(
    arguments: &Arguments,
    config: Option<&Path>,
    environment: &Environment,
) -> Result<String, Failure> {
    let asked = match (&arguments.cases, &arguments.first) {
        (Some(_), _) => None,
        (None, Some(first)) => Some(sample_request(first, arguments.second.as_deref(), arguments.preflight)?),
        (None, None) => {
            return Err(usage("give a URL, as in: huggate explain GET /admin"));
        }
    };
    let subject =
        test_subject(arguments).map_err(|(option, text, why)| usage(&format!("{option}: {text:?} {why}")))?;
    let config =
        Config::load(config, environment).map_err(|problems| Failure::Configuration(problems.to_string()))?;
    let loaded = LoadedGate {
        public_url: config.gate.public_url.as_str().to_owned(),
        routes_from: config.routes_from,
        gate: gate_beside(config.gate).map_err(|error| Failure::configuration(&error))?.0,
    };
    let (Some(asked), None) = (asked, &arguments.cases) else {
        let path = arguments.cases.as_deref().unwrap_or(Path::new("cases.toml"));
        return cases::run(&loaded, path, arguments.json);
    };
    let inspected = match &arguments.cookie {
        Some(path) => Some(inspect(&loaded.gate, path)?),
        None => None,
    };
    let who = match (&subject, &inspected) {
        (Some(subject), _) => Who::TestSubject(subject),
        (None, Some(Inspected::Session(session))) => Who::Session(session),
        (None, _) => Who::Nobody,
    };
    let explanation = loaded.gate.explain(&asked, who);
    if arguments.json {
        return Ok(json_report::whole(&loaded, &explanation, who, inspected.as_ref()));
    }
    Ok(text_report::whole(&loaded, &explanation, inspected.as_ref()) + &more_to_say(&explanation))
}

/// A hint which options would complete the description of the person.
fn more_to_say(explanation: &Explanation) -> String {
    let reasons = explanation.entries.iter().flat_map(|entry| &entry.because);
    if reasons.clone().any(|reason| reason.contains("was not given")) {
        return "\nSay more with --id ID, --org NAME=ID:ROLE or --resource-group ORG/GROUP:ROLE.\n"
            .to_owned();
    }
    String::new()
}

/// Parses the request: `METHOD URL`, or `URL` alone.
fn sample_request(first: &str, second: Option<&str>, preflight: bool) -> Result<SampleRequest, Failure> {
    let (method, url) = second.map_or(("GET", first), |second| (first, second));
    if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
        let capitals = method.to_ascii_uppercase();
        return Err(usage(&format!("{method:?} is not a method; write it in capitals, {capitals}")));
    }
    let method = Method::from_bytes(method.as_bytes())
        .map_err(|_| usage(&format!("{method:?} is not a method, as in: huggate explain GET /admin")))?;
    let request = SampleRequest::new(method, url).map_err(|why| usage(&format!("{url:?} {why}")))?;
    Ok(if preflight { request.preflight() } else { request })
}

/// The person described by the options; or the invalid option.
fn test_subject(
    arguments: &Arguments,
) -> Result<Option<TestSubject>, (&'static str, &str, TestSubjectError)> {
    let Some(user) = arguments.user.as_deref() else { return Ok(None) };
    let mut subject = TestSubject::named(user).map_err(|why| ("--user", user, why))?;
    if let Some(id) = arguments.id.as_deref() {
        subject = subject.with_id(id).map_err(|why| ("--id", id, why))?;
    }
    for org in &arguments.orgs {
        subject = subject.in_org(org).map_err(|why| ("--org", org.as_str(), why))?;
    }
    for group in &arguments.resource_groups {
        subject = subject.in_group(group).map_err(|why| ("--resource-group", group.as_str(), why))?;
    }
    if let Some(email) = arguments.email.as_deref() {
        subject = subject.with_email(email).map_err(|why| ("--email", email, why))?;
    }
    Ok(Some(subject.with_pro(arguments.pro)))
}

/// Inspects the cookie in the file `path`. Messages show neither the cookie nor the path, which
/// may be the cookie itself.
fn inspect(gate: &Gate, path: &Path) -> Result<Inspected, Failure> {
    let failed = |why: String| {
        Failure::Run(format!(
            "huggate explain: --cookie: {why}; give a file that contains the cookie, or - for standard input \
             (other users of this machine can read command lines)"
        ))
    };
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(path);
        Box::new(file.map_err(|error| failed(format!("the file cannot be opened: {}", error.kind())))?)
    };
    let mut text = String::new();
    input
        .take(MAX_COOKIE)
        .read_to_string(&mut text)
        .map_err(|error| failed(format!("the file cannot be read: {}", error.kind())))?;
    if text.trim().is_empty() {
        return Err(failed("the file is empty".to_owned()));
    }
    Ok(runtime()?.block_on(gate.inspect(&text)))
}

fn usage(why: &str) -> Failure {
    Failure::Configuration(format!("huggate explain: {why}"))
}

#[cfg(test)]
mod tests;
