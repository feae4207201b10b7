//! An explanation for people: 80 columns, nothing that needs colour.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use huggate::explain::{Destination, Entry, Explanation, Outcome};
use huggate::policy::Match;
use huggate::session::{Inspected, SessionReport};

use super::loaded_gate::LoadedGate;

/// How long a line may be.
const WIDTH: usize = 80;
/// Where the text begins, after its loaded.
const INDENT: usize = 12;
/// How many readings of a path that lead to one place are shown.
const SHOWN: usize = 3;

/// The whole of it.
pub(super) fn whole(loaded: &LoadedGate, explanation: &Explanation, inspected: Option<&Inspected>) -> String {
    let mut text = format!("{}\n", asked(loaded, explanation));
    text.push_str(&below(loaded, explanation, inspected));
    text
}

/// The request as one line.
fn asked(loaded: &LoadedGate, explanation: &Explanation) -> String {
    let scheme = if loaded.public_url.starts_with("https") { "https" } else { "http" };
    format!("{} {scheme}://{}{}", explanation.method, explanation.host, explanation.path)
}

/// All but the request.
pub(super) fn below(loaded: &LoadedGate, explanation: &Explanation, inspected: Option<&Inspected>) -> String {
    let mut text = String::new();
    let nobody = || match inspected {
        Some(inspected) => format!("nobody: {}", why_nobody(inspected)),
        None => "nobody".to_owned(),
    };
    row(&mut text, "who", &explanation.who.clone().unwrap_or_else(nobody));
    if let Some(Inspected::Session(session)) = inspected {
        row(&mut text, "session", &times(session));
        row(&mut text, "", &doubts(session));
    }
    if !explanation.host_is_known && !explanation.host.is_empty() {
        let note = "neither the public URL's nor a route's, so routes without a host decide";
        row(&mut text, "host", &format!("{} is {note}", explanation.host));
    }
    readings(&mut text, loaded, explanation);
    if !matches!(explanation.outcome, Outcome::BadRequest | Outcome::Endpoint) {
        row(&mut text, "route", &place(loaded, explanation.route));
    }
    row(&mut text, "decision", &format!("{}: {}", decision(explanation.outcome), explanation.why));
    if !explanation.entries.is_empty() {
        text.push('\n');
    }
    for entry in &explanation.entries {
        rule(&mut text, entry);
    }
    text
}

fn rule(text: &mut String, entry: &Entry) {
    let answer = match entry.holds {
        Match::Yes => "yes",
        Match::No => "no",
        _ => "unknown",
    };
    row(text, answer, &format!("{}: {}", entry.key, entry.rule));
    for reason in &entry.because {
        // Said already by the answer.
        let reason = reason.strip_prefix("not known: ").filter(|_| answer == "unknown").unwrap_or(reason);
        for line in wrapped(reason, WIDTH - INDENT - 2) {
            let _ = writeln!(text, "{:INDENT$}  {line}", "");
        }
    }
}

/// What a decision is called, and its status.
pub(super) fn decision(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Public => "public",
        Outcome::Allow => "allowed",
        Outcome::SignIn => "sign in (401, or sent to Hugging Face)",
        Outcome::Refuse => "refused (403)",
        Outcome::BadRequest => "bad request (400)",
        _ => "huggate's own",
    }
}

/// A route by its number, its pattern and where it is written; or none.
fn place(loaded: &LoadedGate, route: Option<usize>) -> String {
    let Some(index) = route else { return "none of them: [access] decides".to_owned() };
    let pattern = loaded.gate.routes().get(index).map(huggate::Route::pattern).unwrap_or_default();
    let origin = loaded.routes_from.get(index).map(|origin| format!(" ({origin})")).unwrap_or_default();
    format!("route[{index}] {pattern}{origin}")
}

/// The readings, if there is more than one, by where they lead.
fn readings(text: &mut String, loaded: &LoadedGate, explanation: &Explanation) {
    let readings = &explanation.readings;
    if readings.len() < 2 {
        return;
    }
    let mut groups: Vec<(Destination, Vec<&str>)> = Vec::new();
    for reading in readings {
        match groups.iter_mut().find(|(leads, _)| *leads == reading.leads) {
            Some((_, paths)) => paths.push(&reading.path),
            None => groups.push((reading.leads, vec![&reading.path])),
        }
    }
    row(text, "readings", &format!("servers may read this path in {} ways:", readings.len()));
    for (leads, paths) in groups {
        let to = match leads {
            Destination::Route(index) => place(loaded, Some(index)),
            Destination::Everywhere => "no route, [access] decides".to_owned(),
            _ => "huggate's own endpoints".to_owned(),
        };
        let shown: Vec<String> =
            paths.iter().take(SHOWN).map(|path| path.escape_debug().to_string()).collect();
        let more = match paths.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        row(text, "", &(shown.join(", ") + &more));
        let _ = writeln!(text, "{:INDENT$}  -> {to}", "");
    }
}

/// Why a cookie is nobody's.
fn why_nobody(inspected: &Inspected) -> &'static str {
    match inspected {
        Inspected::NoCookie => "no session cookie of this huggate is in it",
        Inspected::DoesNotOpen => {
            "the cookie does not open: it was sealed with another secret, is cut short, or is not huggate's"
        }
        Inspected::OtherStore => "the cookie was made when sessions were kept elsewhere (session.store)",
        Inspected::NotInStore => {
            "the store has no such session; one in memory is in the running huggate alone, and cannot be seen from here"
        }
        Inspected::StoreUnavailable => "the session store does not answer (a request would get 503)",
        _ => "the session is over",
    }
}

fn times(session: &SessionReport) -> String {
    let state = if session.in_force { "in force" } else { "over" };
    format!(
        "{}'s, {state}: began {}, last seen in use {}, ends {} if it is not used and {} in any case",
        session.user.username(),
        time(session.began),
        time(session.seen),
        time(session.idle_ends),
        time(session.ends),
    )
}

/// What the cookie alone does not tell.
fn doubts(session: &SessionReport) -> String {
    let due = if session.check_is_due { "; the next request has it asked again" } else { "" };
    format!(
        "What Hugging Face said of them is from {}{due}. Whether they signed out since is not in a cookie.",
        time(session.checked)
    )
}

/// `2026-11-23T19:06:00Z`
pub(super) fn time(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// A loaded, and what there is to say of it.
fn row(text: &mut String, subject: &str, what: &str) {
    for (index, line) in wrapped(what, WIDTH - INDENT).iter().enumerate() {
        let subject = if index == 0 { subject } else { "" };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{}", format!("  {subject:<10}{line}").trim_end());
    }
}

/// `text` in lines of at most `width`, broken at spaces where there are any.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
