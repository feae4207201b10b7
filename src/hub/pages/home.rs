//! The start page: what this is, and who can sign in.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::super::users::User;
use super::connected_apps::CONNECTED_APPS_PATH;
use super::layout::{escape, page};

/// What this is.
pub(crate) fn home(issuer: &str, users: &[User], person: Option<&User>) -> Response {
    let who = person.map_or_else(
        || "<p>Nobody is signed in. <a href=\"/login\" id=\"login\">Sign in</a></p>".to_owned(),
        |person| {
            format!(
                "<p>You are <strong>{}</strong>. <a href=\"{CONNECTED_APPS_PATH}\">Connected applications</a> · \
                 <a href=\"/logout\" id=\"logout\">Sign out</a></p>",
                escape(&person.name)
            )
        },
    );
    let mut rows = String::new();
    for person in users {
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
