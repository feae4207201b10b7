//! The sample app's page.

use std::fmt::{self, Display, Write as _};

use axum::http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::assertion::Verdict;

/// The template; `{{name}}` marks a placeholder.
const TEMPLATE: &str = include_str!("index.html");

/// Renders the page for one request.
pub(super) fn render(method: &Method, uri: &Uri, headers: &HeaderMap, verdict: &Verdict) -> String {
    let name = identity_header(headers, "x-forwarded-preferred-username");
    fill(TEMPLATE, |place| match place {
        "name" => Text(name.as_deref().unwrap_or("stranger")).to_string(),
        "initial" => {
            let initial = name.iter().flat_map(|name| name.chars()).next().unwrap_or('?');
            Text(&initial.to_uppercase().to_string()).to_string()
        }
        "who" => who(headers),
        "door" => door(headers).to_owned(),
        "request" => Text(&format!("{method} {uri}")).to_string(),
        "note" => note(uri.path()).to_owned(),
        "verdict" => verdict_html(verdict),
        "headers" => header_rows(headers),
        _ => String::new(),
    })
}

/// The readable value of an identity header: non-ASCII values are sent as an ext-value (RFC
/// 8187, section 3.2).
pub(super) fn identity_header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = String::from_utf8_lossy(headers.get(name)?.as_bytes()).into_owned();
    Some(readable(&value).unwrap_or(value))
}

/// The text of an ext-value, if `value` is one.
fn readable(value: &str) -> Option<String> {
    let encoded = value.strip_prefix("UTF-8''")?;
    percent_decode_str(encoded).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// The person's claims as chips.
fn who(headers: &HeaderMap) -> String {
    let mut html = String::new();
    for (label, name) in [("id", "x-forwarded-user"), ("email", "x-forwarded-email")] {
        if let Some(value) = identity_header(headers, name) {
            _ = write!(html, "<li><small>{label}</small> <bdi>{}</bdi></li>", Text(&value));
        }
    }
    let groups = identity_header(headers, "x-forwarded-groups").unwrap_or_default();
    for group in groups.split(',').map(str::trim).filter(|group| !group.is_empty()) {
        _ = write!(html, "<li class=\"group\"><small>group</small> <bdi>{}</bdi></li>", Text(group));
    }
    if html.is_empty() {
        html.push_str("<li>The gate sent no identity.</li>");
    }
    html
}

/// The sign-out link, or the sign-in link.
fn door(headers: &HeaderMap) -> &'static str {
    if headers.contains_key("x-forwarded-user") {
        return "<a class=\"main\" href=\"/oauth2/sign_out\">Sign out</a>";
    }
    "<a class=\"main\" href=\"/oauth2/sign_in?rd=/\">Sign in</a>"
}

/// A note about the demo's special routes.
fn note(path: &str) -> &'static str {
    match path.split('/').nth(1) {
        Some("admin") => "Only admins of acme may open this page.",
        Some("public") => "This route is public: no sign-in is required.",
        _ => "Every path of this app shows this page: deep links survive the sign-in.",
    }
}

/// The result of verifying the assertion.
fn verdict_html(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Verified(claims) => {
            format!("<p class=\"mark good\">✓ verified</p><dl>{}</dl>", claim_rows(claims))
        }
        Verdict::Invalid(why) => format!("<p class=\"mark bad\">✗ not verified</p><p>{}</p>", Text(why)),
        Verdict::Absent => {
            "<p class=\"mark\">none</p><p>There is no assertion: nobody is signed in.</p>".to_owned()
        }
    }
}

/// One row per claim; the page's script formats times.
fn claim_rows(claims: &Map<String, Value>) -> String {
    let mut html = String::new();
    for (name, value) in claims {
        let is_time = ["iat", "nbf", "exp"].contains(&name.as_str());
        let class = if is_time { " class=\"time\"" } else { "" };
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        _ = write!(html, "<dt>{}</dt><dd{class}><bdi>{}</bdi></dd>", Text(name), Text(&value));
    }
    html
}

/// One row per header, the gate's first.
fn header_rows(headers: &HeaderMap) -> String {
    let mut rows = Vec::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let (rank, source) = source(name.as_str(), &value);
        let class = if rank == BROWSER { "" } else { " class=\"gate\"" };
        let (name, text) = (Text(name.as_str()), Text(&value));
        let mut row = format!("<tr{class}><th scope=\"row\">{name}</th><td><code>{text}</code>");
        if let Some(text) = readable(&value) {
            _ = write!(row, " <small>reads <bdi>{}</bdi></small>", Text(&text));
        }
        _ = write!(row, "</td><td>{source}</td></tr>");
        rows.push((rank, row));
    }
    rows.sort_by_key(|(rank, _)| *rank);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The rank of headers that the gate does not write.
const BROWSER: u8 = 9;

/// A header's rank in the table and its source. The gate strips its own headers from requests,
/// so one with such a name is from the gate.
fn source(name: &str, value: &str) -> (u8, &'static str) {
    match name {
        "x-forwarded-user"
        | "x-forwarded-preferred-username"
        | "x-forwarded-email"
        | "x-forwarded-groups" => (0, "gate: who you are"),
        "x-forwarded-access-token" => (1, "gate: your access token"),
        "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" => (3, "gate: forwarding"),
        "cookie" if value.contains("huggate") => {
            (4, "browser; the session cookie is replaced by the assertion")
        }
        name if name.starts_with("x-huggate-") => (2, "gate: who you are, signed"),
        _ => (BROWSER, "browser"),
    }
}

/// Replaces each `{{name}}` in one pass, so that placeholders inside values are not replaced.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut html = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
    {
        html.push_str(before);
        html.push_str(&value(name));
        rest = after;
    }
    html + rest
}

/// Text to be escaped for HTML.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                plain => f.write_char(plain)?,
            }
        }
        Ok(())
    }
}
