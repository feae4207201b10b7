//! The text form of an explanation: 80 columns, no colour.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use huggate::explain::{Destination, Entry, Explanation, Outcome};
use huggate::policy::Match;
use huggate::session::{Inspected, SessionReport};

use super::loaded_gate::LoadedGate;

/// Maximum line length.
const WIDTH: usize = 80;
/// Column at which the text begins, after the subject.
const INDENT: usize = 12;
/// Number of readings shown per destination.
const SHOWN: usize = 3;

/// The whole explanation.
pub(super) fn whole(loaded: &LoadedGate, explanation: &Explanation, inspected: Option<&Inspected>) -> String {
    let mut text = format!("{}\n", request_line(loaded, explanation));
    text.push_str(&below(loaded, explanation, inspected));
    text
}

/// The request on one line.
fn request_line(loaded: &LoadedGate, explanation: &Explanation) -> String {
    let scheme = if loaded.public_url.starts_with("https") { "https" } else { "http" };
    format!("{} {scheme}://{}{}", explanation.method, explanation.host, explanation.path)
}

/// The explanation without the request.
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
        let note = "neither the public URL's host nor a route's, so routes without a host decide";
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
    let answer = match entry.matches {
        Match::Yes => "yes",
        Match::No => "no",
        Match::NotHeld => "missing",
        _ => "unknown",
    };
    row(text, answer, &format!("{}: {}", entry.key, entry.rule));
    for reason in &entry.because {
        // The answer column already says "unknown".
        let reason = reason.strip_prefix("not known: ").filter(|_| answer == "unknown").unwrap_or(reason);
        for line in wrapped(reason, WIDTH - INDENT - 2) {
            let _ = writeln!(text, "{:INDENT$}  {line}", "");
        }
    }
}

/// A decision and its status.
pub(super) fn decision(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Public => "public",
        Outcome::Allow => "allowed",
        Outcome::SignIn => "sign in (401, or a redirect to Hugging Face)",
        Outcome::Refuse => "refused (403)",
        Outcome::BadRequest => "bad request (400)",
        _ => "huggate's own",
    }
}

/// A route's index, pattern and origin; or none.
fn place(loaded: &LoadedGate, route: Option<usize>) -> String {
    let Some(index) = route else { return "none: [access] decides".to_owned() };
    let pattern = loaded.gate.routes().get(index).map(huggate::Route::pattern).unwrap_or_default();
    let origin = loaded.routes_from.get(index).map(|origin| format!(" ({origin})")).unwrap_or_default();
    format!("route[{index}] {pattern}{origin}")
}

/// The readings, if there are several, grouped by the route they match.
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
    row(text, "readings", &format!("servers may interpret this path in {} ways:", readings.len()));
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

/// Why a cookie has no session.
fn why_nobody(inspected: &Inspected) -> &'static str {
    match inspected {
        Inspected::NoCookie => "it contains no session cookie of this configuration",
        Inspected::DoesNotOpen => {
            "the cookie cannot be opened: sealed with another secret, truncated, or not a huggate cookie"
        }
        Inspected::OtherStore => "the cookie belongs to another session store (session.store)",
        Inspected::NotInStore => {
            "the store has no such session; sessions in memory are visible to the running huggate only"
        }
        Inspected::StoreUnavailable => "the session store is not reachable (a request would get 503)",
        _ => "the session has ended",
    }
}

fn times(session: &SessionReport) -> String {
    let state = if session.in_force { "valid" } else { "ended" };
    format!(
        "{}'s, {state}: started {}, last used {}, expires {} if idle and {} at the latest",
        session.user.username(),
        time(session.began),
        time(session.seen),
        time(session.idle_ends),
        time(session.ends),
    )
}

/// What the cookie alone cannot tell.
fn doubts(session: &SessionReport) -> String {
    let due = if session.check_is_due { "; the next request revalidates them" } else { "" };
    format!(
        "The claims from Hugging Face are from {}{due}. A cookie does not show whether the person has signed out since.",
        time(session.checked)
    )
}

/// `2026-11-23T19:06:00Z`
pub(super) fn time(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// Writes a row: a subject and its text.
fn row(text: &mut String, subject: &str, what: &str) {
    for (index, line) in wrapped(what, WIDTH - INDENT).iter().enumerate() {
        let subject = if index == 0 { subject } else { "" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", format!("  {subject:<10}{line}").trim_end());
    }
}

/// Wraps `text` at spaces to lines of at most `width`.
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
