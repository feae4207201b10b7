//! The consent page: what an application asks for.

use std::collections::BTreeSet;
use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::super::authorization_request::AuthorizationRequest;
use super::super::users::User;
use super::layout::{escape, hidden, page};

/// What the consent page shows.
pub(crate) struct Consent<'a> {
    /// The application's name.
    pub(crate) client: &'a str,
    /// What it asks for.
    pub(crate) ask: &'a AuthorizationRequest,
    /// Who is asked.
    pub(crate) person: &'a User,
    /// The form's ticket.
    pub(crate) ticket: &'a str,
    /// The ids of the organisations granted before.
    pub(crate) before: &'a BTreeSet<String>,
}

/// "Do you agree?"
pub(crate) fn consent(consent: &Consent<'_>) -> Response {
    let Consent { client, ask, person, .. } = consent;
    let scopes: String = ask
        .scopes
        .iter()
        .map(|scope| {
            format!("<li data-scope=\"{0}\">{1} <code>{0}</code></li>", escape(scope), describe_scope(scope))
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

/// A scope in plain words.
fn describe_scope(scope: &str) -> &'static str {
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
