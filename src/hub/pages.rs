//! The pages people see. No script, nothing from elsewhere, and a strip on
//! each that says what this is, so that nobody takes it for the real one.

use std::collections::BTreeSet;
use std::fmt::Write;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

use super::ask::Ask;
use super::browser::CONNECTED;
use super::people::Person;

/// The style sheet.
const STYLE: &str = include_str!("pages.css");

/// The headers of every page. There is no `form-action`: browsers apply it to
/// the redirect that follows a form, which leads to the application.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("content-security-policy"),
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("x-frame-options"), "DENY"),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    // Not "no-referrer": with that the forms would come from the origin "null".
    (HeaderName::from_static("referrer-policy"), "same-origin"),
];

/// What the consent page shows.
pub(super) struct Consent<'a> {
    /// The application's name.
    pub(super) client: &'a str,
    /// What it asks for.
    pub(super) ask: &'a Ask,
    /// Who is asked.
    pub(super) person: &'a Person,
    /// The form's ticket.
    pub(super) ticket: &'a str,
    /// The ids of the organisations granted before.
    pub(super) before: &'a BTreeSet<String>,
}

/// "Who do you want to be?"
pub(super) fn picker(people: &[Person], ticket: &str, action: &str, client: Option<&str>) -> Response {
    let purpose = client.map_or(String::new(), |client| {
        format!(
            "<p>To sign in to <strong id=\"client\">{}</strong>. There are no passwords here.</p>",
            escape(client)
        )
    });
    let mut cards = String::new();
    for person in people {
        let username = escape(&person.username);
        let _ = write!(
            cards,
            "<li><button class=\"card\" id=\"person-{username}\" name=\"username\" value=\"{username}\">\
             <img src=\"/avatars/{}.svg\" alt=\"\" width=\"40\" height=\"40\">\
             <span><strong>{}</strong> <span class=\"quiet\">@{username}</span>\
             <span class=\"about\">{}</span></span></button></li>",
            escape(&person.id),
            escape(&person.name),
            escape(&person.about),
        );
    }
    let body = format!(
        "<h1>Who do you want to be?</h1>{purpose}\
         <form method=\"post\" action=\"{action}\" id=\"people\">{}<ul class=\"cards\">{cards}</ul></form>",
        hidden("ticket", ticket),
    );
    page(StatusCode::OK, "Sign in", &body)
}

/// "Do you agree?"
pub(super) fn consent(consent: &Consent<'_>) -> Response {
    let Consent { client, ask, person, .. } = consent;
    let scopes: String = ask
        .scopes
        .iter()
        .map(|scope| {
            format!("<li data-scope=\"{0}\">{1} <code>{0}</code></li>", escape(scope), in_words(scope))
        })
        .collect();
    let body = format!(
        "<h1><span id=\"client\">{}</span> wants to know you</h1>\
         <p>You are <strong id=\"person\" data-username=\"{}\">{}</strong> \
         <span class=\"quiet\">@{}</span>.</p>\
         <form method=\"post\" action=\"/oauth/authorize\" id=\"consent\">{}{}\
         <h2>It will be able to</h2><ul id=\"scopes\">{scopes}</ul>{}\
         <p class=\"buttons\"><button class=\"main\" id=\"authorize\" name=\"decision\" value=\"authorize\">Authorize</button> \
         <button id=\"deny\" name=\"decision\" value=\"deny\">Cancel</button></p>\
         <p><button class=\"link\" id=\"switch\" name=\"decision\" value=\"switch\">Sign in as somebody else</button></p></form>",
        escape(client),
        escape(&person.username),
        escape(&person.name),
        escape(&person.username),
        hidden("ticket", consent.ticket),
        hidden("username", &person.username),
        organisations(consent),
    );
    page(StatusCode::OK, "Authorize", &body)
}

/// The organisations to tick; those the application requires are ticked and stay so.
fn organisations(consent: &Consent<'_>) -> String {
    let Consent { ask, person, before, .. } = consent;
    let mut rows = String::new();
    for org in &person.orgs {
        let required = ask.orgs.contains(&org.id);
        let state = match (required, before.contains(&org.id)) {
            (true, _) => " checked disabled",
            (false, true) => " checked",
            (false, false) => "",
        };
        let note = if required { " <em>required by the application</em>" } else { "" };
        let _ = write!(
            rows,
            "<li><label><input type=\"checkbox\" name=\"org\" value=\"{}\" data-org=\"{}\"{state}> {} \
             <span class=\"quiet\">{}</span>{note}</label></li>",
            escape(&org.id),
            escape(&org.slug),
            escape(&org.name),
            escape(&org.role),
        );
    }
    let foreign = ask.orgs.iter().any(|id| person.orgs.iter().all(|org| org.id != *id));
    let warning = if foreign {
        "<p class=\"warning\" id=\"not-a-member\" role=\"note\">The application asks for an organisation you are not a member of.</p>"
    } else {
        ""
    };
    // A box that scrolls must be within reach of the keyboard.
    let focus = if person.orgs.len() > 6 { " tabindex=\"0\"" } else { "" };
    if rows.is_empty() {
        return format!("{warning}<p class=\"quiet\">You are a member of no organisation.</p>");
    }
    format!(
        "{warning}<fieldset><legend>It may also see your role in</legend>\
         <ul class=\"orgs\" id=\"orgs\"{focus} aria-label=\"Your organisations\">{rows}</ul></fieldset>"
    )
}

/// Where a person types the code a device shows; `wrong` is what did not fit.
pub(super) fn device(wrong: Option<&str>) -> Response {
    let complaint = wrong.map_or(String::new(), |typed| {
        format!("<p class=\"warning\" role=\"alert\">No device shows the code {}.</p>", escape(typed))
    });
    let body = format!(
        "<h1>Connect a device</h1>{complaint}<form method=\"get\" action=\"/oauth/device\" id=\"device\">\
         <p><label for=\"user_code\">The code it shows</label>\
         <input id=\"user_code\" name=\"user_code\" placeholder=\"XXXX-XXXX\" autocomplete=\"off\" \
         autocapitalize=\"characters\" maxlength=\"20\" required></p>\
         <p class=\"buttons\"><button class=\"main\" id=\"continue\">Continue</button></p></form>"
    );
    page(if wrong.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK }, "Connect a device", &body)
}

/// The applications somebody consented to: name, client id, organisations.
pub(super) fn connected(person: &Person, apps: &[(&str, &str, usize)], ticket: &str) -> Response {
    let mut rows = String::new();
    for (name, id, orgs) in apps {
        let _ = write!(
            rows,
            "<li data-client=\"{0}\"><span><strong>{1}</strong> <span class=\"quiet\">organisations: {orgs}</span></span>\
             <form method=\"post\" action=\"{CONNECTED}\">{2}\
             <button name=\"client_id\" value=\"{0}\" aria-label=\"Disconnect {1}\">Disconnect</button></form></li>",
            escape(id),
            escape(name),
            hidden("ticket", ticket),
        );
    }
    if rows.is_empty() {
        rows.push_str("<li class=\"quiet\">None.</li>");
    }
    let body = format!(
        "<h1>Connected applications</h1><p>of {} <span class=\"quiet\">@{}</span> · <a href=\"/logout\">sign out</a></p>\
         <ul class=\"rows\" id=\"applications\">{rows}</ul>",
        escape(&person.name),
        escape(&person.username),
    );
    page(StatusCode::OK, "Connected applications", &body)
}

/// What this is.
pub(super) fn home(issuer: &str, people: &[Person], person: Option<&Person>) -> Response {
    let who = person.map_or_else(
        || "<p>Nobody is signed in. <a href=\"/login\" id=\"login\">Sign in</a></p>".to_owned(),
        |person| {
            format!(
                "<p>You are <strong>{}</strong>. <a href=\"{CONNECTED}\">Connected applications</a> · \
                 <a href=\"/logout\" id=\"logout\">Sign out</a></p>",
                escape(&person.name)
            )
        },
    );
    let mut rows = String::new();
    for person in people {
        let [username, about, token] =
            [&person.username, &person.about, &person.token].map(|text| escape(text));
        let _ =
            write!(rows, "<li><span><strong>{username}</strong> {about}<br><code>{token}</code></span></li>");
    }
    let body = format!(
        "<h1>A stand-in for huggingface.co</h1>\
         <p>For developing and testing “Sign in with Hugging Face” without a network. \
         Its issuer is <code>{}</code>; applications register themselves at <code>/oauth/register</code>.</p>{who}\
         <h2>Who can sign in, and with what token</h2><ul class=\"rows\">{rows}</ul>",
        escape(issuer)
    );
    page(StatusCode::OK, "Stand-in", &body)
}

/// A page with one thing to say.
pub(super) fn notice(status: StatusCode, title: &str, text: &str) -> Response {
    let body = format!("<h1 id=\"notice\">{}</h1><p>{}</p>", escape(title), escape(text));
    page(status, title, &body)
}

/// `GET /hub.css`.
pub(super) async fn style() -> Response {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// `GET /avatars/…`: a disc whose colour comes from the id.
pub(super) async fn avatar(axum::extract::Path(name): axum::extract::Path<String>) -> Response {
    let hue = name.bytes().fold(0_u32, |sum, byte| (sum * 31 + u32::from(byte)) % 360);
    let picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\"><circle cx=\"20\" cy=\"20\" r=\"20\" \
         fill=\"hsl({hue} 60% 55%)\"/><circle cx=\"20\" cy=\"16\" r=\"7\" fill=\"#fff\"/>\
         <path d=\"M7 36a13 13 0 0 1 26 0\" fill=\"#fff\"/></svg>"
    );
    ([(CONTENT_TYPE, "image/svg+xml")], picture).into_response()
}

/// The frame around every page; `body` is HTML.
fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{} · stand-in for huggingface.co</title><link rel=\"stylesheet\" href=\"/hub.css\"></head>\
         <body><p class=\"strip\" id=\"stand-in\" role=\"note\"><strong>Stand-in.</strong> This is not huggingface.co: \
         it runs on this machine, for trying things out. Never type a real password here.</p>\
         <main>{body}</main></body></html>",
        escape(title)
    );
    (status, HEADERS, page).into_response()
}

/// A hidden field.
fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value))
}

/// A scope in plain words.
fn in_words(scope: &str) -> &'static str {
    match scope {
        "openid" => "know that it is you",
        "profile" => "see your name, username and picture",
        "email" => "see your e-mail address",
        "read-memberships" => "see which organisations you are in",
        "read-billing" => "see whether you can pay",
        "read-repos" => "read your repositories",
        "write-repos" => "change your repositories",
        "manage-repos" => "create and delete your repositories",
        "gated-repos" => "read gated repositories you have access to",
        "contribute-repos" => "create repositories and change those it created",
        "inference-api" => "call inference providers at your cost",
        "write-discussions" => "open and answer discussions",
        "jobs" => "run jobs",
        "webhooks" => "manage your webhooks",
        "read-mcp" => "read your MCP settings",
        "read-collections" => "read your collections",
        "write-collections" => "change your collections",
        "read-endpoints" => "see your endpoints",
        "write-endpoints" => "change your endpoints",
        _ => "use",
    }
}

/// Text as it may stand in HTML, between tags and in a quoted attribute.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_gets_out_of_an_attribute() {
        assert_eq!(escape("<a b='c' d=\"&\">"), "&lt;a b=&#39;c&#39; d=&quot;&amp;&quot;&gt;");
    }
}
