//! The consent page.

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
    /// The authorization request.
    pub(crate) request: &'a AuthorizationRequest,
    /// The signed-in user.
    pub(crate) user: &'a User,
    /// The form's CSRF ticket.
    pub(crate) ticket: &'a str,
    /// The ids of the organisations that were granted before.
    pub(crate) before: &'a BTreeSet<String>,
}

/// The consent page.
pub(crate) fn consent(consent: &Consent<'_>) -> Response {
    let Consent { client, request, user, .. } = consent;
    let scopes: String = request
        .scopes
        .iter()
        .map(|scope| {
            format!("<li data-scope=\"{0}\">{1} <code>{0}</code></li>", escape(scope), describe_scope(scope))
        })
        .collect();
    let body = format!(
        "<h1>Authorize <span id=\"client\">{}</span></h1>\
         <p>You are signed in as <strong id=\"person\" data-username=\"{}\">{}</strong> \
         <span class=\"quiet\">@{}</span>.</p>\
         <form method=\"post\" action=\"/oauth/authorize\" id=\"consent\">{}{}\
         <h2>This application will be able to</h2><ul id=\"scopes\">{scopes}</ul>{}\
         <p class=\"buttons\"><button class=\"main\" id=\"authorize\" name=\"decision\" value=\"authorize\">Authorize</button> \
         <button id=\"deny\" name=\"decision\" value=\"deny\">Cancel</button></p>\
         <p><button class=\"link\" id=\"switch\" name=\"decision\" value=\"switch\">Use another account</button></p></form>",
        escape(client),
        escape(&user.username),
        escape(&user.name),
        escape(&user.username),
        hidden("ticket", consent.ticket),
        hidden("username", &user.username),
        organisations(consent),
    );
    page(StatusCode::OK, "Authorize", &body)
}

/// The organisations as checkboxes; those the client requires are checked and disabled.
fn organisations(consent: &Consent<'_>) -> String {
    let Consent { request, user, before, .. } = consent;
    let mut rows = String::new();
    for org in &user.orgs {
        let required = request.orgs.contains(&org.id);
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
    let foreign = request.orgs.iter().any(|id| user.orgs.iter().all(|org| org.id != *id));
    let warning = if foreign {
        "<p class=\"warning\" id=\"not-a-member\" role=\"note\">This application requests access to an organisation that you are not a member of.</p>"
    } else {
        ""
    };
    // A scrollable box must be reachable by keyboard.
    let focus = if user.orgs.len() > 6 { " tabindex=\"0\"" } else { "" };
    if rows.is_empty() {
        return format!("{warning}<p class=\"quiet\">You are not a member of any organisation.</p>");
    }
    format!(
        "{warning}<fieldset><legend>Organisations to share your role in</legend>\
         <ul class=\"orgs\" id=\"orgs\"{focus} aria-label=\"Your organisations\">{rows}</ul></fieldset>"
    )
}

/// What a scope allows.
fn describe_scope(scope: &str) -> &'static str {
    match scope {
        "openid" => "verify your identity",
        "profile" => "see your name, username and picture",
        "email" => "see your e-mail address",
        "read-memberships" => "see which organisations you are in",
        "read-billing" => "see whether you have a payment method",
        "read-repos" => "read your repositories",
        "write-repos" => "change your repositories",
        "manage-repos" => "create and delete your repositories",
        "gated-repos" => "read gated repositories you have access to",
        "contribute-repos" => "create repositories and change the ones it created",
        "inference-api" => "run inference at your expense",
        "write-discussions" => "open and reply to discussions",
        "jobs" => "run jobs",
        "webhooks" => "manage your webhooks",
        "read-mcp" => "read your MCP settings",
        "read-collections" => "read your collections",
        "write-collections" => "change your collections",
        "read-endpoints" => "see your endpoints",
        "write-endpoints" => "change your endpoints",
        _ => "use the scope",
    }
}
