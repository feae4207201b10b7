//! `huggate check`: every problem of a configuration, or its summary.

use std::fmt::Write as _;
use std::path::Path;

use huggate::authn::BearerSettings;
use huggate::clock::Clock;
use huggate::config::{Config, Environment};
use huggate::gate::{BuildError, GateSettings};
use huggate::policy::{Access, AssertionUse, BearerUse, RouteAccess};
use huggate::store::{FileStoreError, StoreLocation, StoreOpenError};
use huggate::upstream::Target;
use huggate::{Gate, Route, Rule};

use super::check_online;
use super::failure::with_causes;

/// The outcome of a check, with the text to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CheckOutcome {
    /// The configuration is valid.
    Valid(String),
    /// The configuration has problems.
    Invalid(String),
    /// The configuration is valid, but the provider or the store cannot be used.
    Unusable(String),
}

/// Loads the configuration as `serve` does; `online` also asks the provider, the store and the apps.
pub(crate) async fn check(path: Option<&Path>, online: bool, environment: &Environment) -> CheckOutcome {
    let config = match Config::load_to_serve(path, environment) {
        Ok(config) => config,
        Err(problems) => return CheckOutcome::Invalid(problems.to_string()),
    };
    let name = config.file.as_ref().map_or("the environment".to_owned(), |file| file.display().to_string());
    let mut text = summary(&config);
    let mut warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    let issuer = config.gate.provider.issuer.as_str().to_owned();
    let endpoints = format!("{}{}", config.gate.public_url.as_str(), config.gate.prefix);
    let gate = match gate_beside(config.gate) {
        Ok((gate, None)) => gate,
        Ok((gate, Some(in_use))) => {
            row(&mut text, "store", &in_use);
            gate
        }
        Err(error) => return CheckOutcome::Invalid(format!("{name}: {}", with_causes(&error))),
    };
    let mut unusable = false;
    if online {
        let findings = check_online::ask(&gate, (&issuer, &endpoints), &config.upstream).await;
        findings.rows.iter().for_each(|(subject, what)| row(&mut text, subject, what));
        warnings.extend(findings.warnings);
        unusable = findings.unusable;
    }
    let mut text = format!("{name} is valid{}:\n{text}", but_for(warnings.len()));
    warnings.iter().for_each(|warning| text.push_str(&format!("warning: {warning}\n")));
    if unusable { CheckOutcome::Unusable(text) } else { CheckOutcome::Valid(text) }
}

/// A gate that does not serve. A running `huggate serve` may hold the file of the session store,
/// which is no problem of the configuration; the text says so.
pub(super) fn gate_beside(settings: GateSettings) -> Result<(Gate, Option<String>), BuildError> {
    let mut without = settings.clone();
    without.session.store_location = None;
    // Opening would create the file, and it would belong to the user who runs this command.
    if let Some(StoreLocation::File(path)) = &settings.session.store_location
        && !path.exists()
    {
        return Ok((
            Gate::new(without, Clock::default())?,
            Some(format!("{} is made by serve", path.display())),
        ));
    }
    match Gate::new(settings, Clock::default()) {
        Ok(gate) => Ok((gate, None)),
        Err(BuildError::Store(error)) if is_in_use(&error) => {
            Ok((Gate::new(without, Clock::default())?, Some(with_causes(&error))))
        }
        Err(error) => Err(error),
    }
}

fn is_in_use(error: &StoreOpenError) -> bool {
    matches!(error.file_error(), Some(FileStoreError::InUse { .. }))
}

fn but_for(warnings: usize) -> String {
    match warnings {
        0 => String::new(),
        1 => ", with a warning".to_owned(),
        several => format!(", with {several} warnings"),
    }
}

/// A summary of the configuration, one subject per row.
fn summary(config: &Config) -> String {
    let gate = &config.gate;
    let mut text = String::new();
    let listen: Vec<String> = config.server.listen.iter().map(ToString::to_string).collect();
    row(&mut text, "public URL", gate.public_url.as_str());
    let callback = format!("{}{}/callback", gate.public_url.as_str(), gate.prefix);
    row(&mut text, "callback URL", &format!("{callback} (register it with the app at Hugging Face)"));
    row(&mut text, "listens on", &listen.join(", "));
    row(&mut text, "upstream", &config.upstream.default.to_string());
    row(&mut text, "scopes", &gate.provider.scope);
    row(&mut text, "may enter", &allowed(&gate.access));
    if !gate.deny.is_empty() {
        row(&mut text, "may not", &any_of(&gate.deny));
    }
    if let Some(bearer) = &gate.bearer {
        row(&mut text, "tokens", &tokens(bearer));
    }
    for (index, route) in gate.routes.iter().enumerate() {
        let upstream = config.upstream.routes.get(index).and_then(Option::as_ref);
        row(&mut text, if index == 0 { "routes" } else { "" }, &describe(route, upstream));
    }
    text
}

fn row(text: &mut String, subject: &str, what: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  {subject:<12}  {what}");
}

/// A route on one line: its conditions, who may enter, its upstream.
fn describe(route: &Route, upstream: Option<&Target>) -> String {
    let mut text = route.pattern() + ": ";
    text.push_str(&match &route.access {
        RouteAccess::Public => "everybody, signed in or not".to_owned(),
        RouteAccess::Own(access) => allowed(access),
        _ => "as everywhere".to_owned(),
    });
    if !route.deny.is_empty() {
        text.push_str(&format!("; not {}", any_of(&route.deny)));
    }
    match route.bearer {
        BearerUse::Only => text.push_str("; with a token alone"),
        BearerUse::Off => text.push_str("; not with a token"),
        _ => {}
    }
    if route.forward_authorization {
        text.push_str("; the app gets Authorization");
    }
    if route.preflight {
        text.push_str("; CORS preflights pass");
    }
    if !route.cors.is_empty() {
        let origins: Vec<String> = route.cors.iter().map(ToString::to_string).collect();
        text.push_str(&format!("; refusals are readable to {}", origins.join(", ")));
        if !route.preflight {
            text.push_str(", whose CORS preflights pass");
        }
    }
    text.push_str(match route.assertion {
        AssertionUse::Header => "; the assertion in the header alone",
        AssertionUse::Cookie => "; the assertion in the cookie alone",
        AssertionUse::None => "; no assertion",
        _ => "",
    });
    if let Some(upstream) = upstream {
        text.push_str(&format!("; to {upstream}"));
    }
    text
}

/// Which API tokens are accepted.
fn tokens(bearer: &BearerSettings) -> String {
    let mut text = "user access tokens, and OAuth tokens of this app".to_owned();
    for client in &bearer.clients {
        text.push_str(&format!(", of {client}"));
    }
    if bearer.app_tokens {
        text.push_str("; tokens of apps");
    }
    text
}

fn allowed(access: &Access) -> String {
    match access {
        Access::Rules(rules) => any_of(rules),
        _ => "every Hugging Face account".to_owned(),
    }
}

fn any_of(rules: &[Rule]) -> String {
    rules.iter().map(ToString::to_string).collect::<Vec<_>>().join("; or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
public_url = "https://app.example.com"
upstream = "http://127.0.0.1:7860"
[provider]
client_id = "id"
[session]
secret = "8f3a1c5e7d9b0246813579acefbd0246f1e2d3c4b5a697887766554433221100"
[access]
allow = [{ org = "acme" }, { user = "ada" }]
deny = [{ user = "mallory" }]
[[route]]
path = "/health"
public = true
[[route]]
host = "mlflow.example.com"
path = "/admin/**"
methods = ["GET", "POST"]
allow = [{ org = "acme", role = "admin" }]
preflight = true
upstream = "http://127.0.0.1:5000"
"#;

    async fn checked(text: &str, online: bool) -> (CheckOutcome, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (check(Some(&path), online, &Environment::default()).await, path.display().to_string())
    }

    #[tokio::test]
    async fn a_valid_file_is_summarised() {
        let (checked, path) = checked(CONFIG, false).await;
        let expected = format!(
            "{path} is valid:
  public URL    https://app.example.com
  callback URL  https://app.example.com/oauth2/callback (register it with the app at Hugging Face)
  listens on    127.0.0.1:4180
  upstream      http://127.0.0.1:7860
  scopes        openid profile read-memberships
  may enter     a member of acme; or the account ada
  may not       the account mallory
  routes        /health: everybody, signed in or not
                GET POST mlflow.example.com/admin/**: a member of acme with the role admin or above; CORS preflights pass; to http://127.0.0.1:5000
"
        );
        assert!(matches!(checked, CheckOutcome::Valid(_)));
        assert_eq!(checked, CheckOutcome::Valid(expected));
    }

    #[tokio::test]
    async fn accepted_tokens_are_summarised() {
        let bearer = "[bearer]\nhub_tokens = true\nclients = [\"other\"]\napp_tokens = true\n";
        let routes = "[[route]]\npath = \"/v1/**\"\nbearer = \"only\"\n\
                      [[route]]\npath = \"/app/**\"\nbearer = \"off\"\nforward_authorization = true\n\
                      [[route]]\npath = \"/api/**\"\ncors = [\"https://other.example\"]\nassertion = \"header\"\n";
        let (checked, _) = checked(&format!("{CONFIG}{bearer}{routes}"), false).await;
        let CheckOutcome::Valid(text) = checked else { panic!("{checked:?}") };
        for line in [
            "  tokens        user access tokens, and OAuth tokens of this app, of other; tokens of apps",
            "                /v1/**: as everywhere; with a token alone",
            "                /app/**: as everywhere; not with a token; the app gets Authorization",
            "                /api/**: as everywhere; refusals are readable to https://other.example, whose CORS preflights pass; the assertion in the header alone",
        ] {
            assert!(text.lines().any(|found| found == line), "{line:?} is not in {text}");
        }
    }

    #[tokio::test]
    async fn warnings_follow_the_summary_with_their_lines() {
        let doubtful =
            CONFIG.replace("https://app", "http://app").replace("upstream = \"http://127.0.0.1:5000\"\n", "");
        let (checked, path) = checked(&doubtful, false).await;
        let CheckOutcome::Valid(text) = checked else { panic!("{checked:?}") };
        assert!(text.starts_with(&format!("{path} is valid, with 2 warnings:\n  public URL ")), "{text}");
        let below = text.lines().skip_while(|line| !line.starts_with("warning: ")).collect::<Vec<_>>();
        assert_eq!(
            below,
            [
                format!(
                    "warning: {path}:2: public_url: \"http://app.example.com\" is http: anybody on the network can read and steal sessions"
                ),
                format!(
                    "warning: {path}:15: route[1].host: \"mlflow.example.com\" does not protect the app: with another Host header, requests reach it \
                     through [access], which has other rules; give the route an upstream of its own, or check the host in \
                     the app"
                ),
            ]
        );
    }

    #[tokio::test]
    async fn problems_are_printed_one_per_line() {
        let (checked, path) = checked(&CONFIG.replace("allow =", "alow ="), false).await;
        assert!(matches!(checked, CheckOutcome::Invalid(_)));
        let CheckOutcome::Invalid(text) = checked else { panic!("{checked:?}") };
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines.iter().all(|line| line.starts_with(&path)), "{text}");
        let misspelt = format!("{path}:9: access.alow: unknown key; did you mean `allow`?");
        assert!(lines.len() > 1 && lines.contains(&misspelt.as_str()), "{text}");
    }

    #[tokio::test]
    async fn a_missing_certificate_is_a_problem() {
        let (checked, path) =
            checked(&format!("{CONFIG}[tls]\ncert_file = \"/no/cert\"\nkey_file = \"/no/key\"\n"), false)
                .await;
        assert_eq!(
            checked,
            CheckOutcome::Invalid(format!(
                "{path}:22: tls.cert_file: \"/no/cert\" does not exist; it must be a PEM file with the \
                 certificate chain, the own certificate first\n\
                 {path}:23: tls.key_file: \"/no/key\" does not exist; it must be a PEM file with the private \
                 key of the certificate"
            ))
        );
    }

    #[tokio::test]
    async fn online_checks_the_provider() {
        // Nothing listens on the port: it was bound and released.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let issuer = format!("[provider]\nissuer = \"http://127.0.0.1:{port}\"\n");
        let (checked, _) = checked(&CONFIG.replace("[provider]\n", &issuer), true).await;
        assert!(matches!(checked, CheckOutcome::Unusable(_)));
        let CheckOutcome::Unusable(text) = checked else { panic!("{checked:?}") };
        assert!(
            text.contains(&format!("  provider      http://127.0.0.1:{port} cannot be used: ")),
            "{text}"
        );
    }
}
