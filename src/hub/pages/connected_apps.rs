//! The applications somebody consented to.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::super::users::User;
use super::layout::{escape, hidden, page};

/// Where signed-in people see and end their connections.
pub(crate) const CONNECTED_APPS_PATH: &str = "/settings/connected-applications";

/// The applications somebody consented to: name, client id, organisations.
pub(crate) fn connected(person: &User, apps: &[(&str, &str, usize)], ticket: &str) -> Response {
    let mut rows = String::new();
    for (name, id, orgs) in apps {
        let _ = write!(
            rows,
            "<li data-client=\"{0}\"><span><strong>{1}</strong> <span class=\"quiet\">organisations: {orgs}</span></span>\
             <form method=\"post\" action=\"{CONNECTED_APPS_PATH}\">{2}\
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
