//! The page of connected applications.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::super::users::User;
use super::layout::{escape, hidden, page};

/// The path of that page.
pub(crate) const CONNECTED_APPS_PATH: &str = "/settings/connected-applications";

/// The connected applications: name, client id, number of organisations.
pub(crate) fn connected(user: &User, apps: &[(&str, &str, usize)], ticket: &str) -> Response {
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
        rows.push_str("<li class=\"quiet\">No applications are connected.</li>");
    }
    let body = format!(
        "<h1>Connected applications</h1><p>Signed in as {} <span class=\"quiet\">@{}</span> · <a href=\"/logout\">Sign out</a></p>\
         <ul class=\"rows\" id=\"applications\">{rows}</ul>",
        escape(&user.name),
        escape(&user.username),
    );
    page(StatusCode::OK, "Connected applications", &body)
}
