//! The home page: what the stand-in is, and who can sign in.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::super::users::User;
use super::connected_apps::CONNECTED_APPS_PATH;
use super::layout::{escape, page};

/// The home page.
pub(crate) fn home(issuer: &str, users: &[User], user: Option<&User>) -> Response {
    let who = user.map_or_else(
        || "<p>You are not signed in. <a href=\"/login\" id=\"login\">Sign in</a></p>".to_owned(),
        |user| {
            format!(
                "<p>Signed in as <strong>{}</strong>. <a href=\"{CONNECTED_APPS_PATH}\">Connected applications</a> · \
                 <a href=\"/logout\" id=\"logout\">Sign out</a></p>",
                escape(&user.name)
            )
        },
    );
    let mut rows = String::new();
    for user in users {
        let [username, about, token] = [&user.username, &user.about, &user.token].map(|text| escape(text));
        let _ =
            write!(rows, "<li><span><strong>{username}</strong> {about}<br><code>{token}</code></span></li>");
    }
    let body = format!(
        "<h1>A stand-in for huggingface.co</h1>\
         <p>For developing and testing “Sign in with Hugging Face” without a network. \
         Its issuer is <code>{}</code>; applications register themselves at <code>/oauth/register</code>.</p>{who}\
         <h2>Users and their access tokens</h2><ul class=\"rows\">{rows}</ul>",
        escape(issuer)
    );
    page(StatusCode::OK, "Stand-in", &body)
}
