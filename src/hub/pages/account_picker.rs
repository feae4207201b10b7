//! The account picker: the users to sign in as.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::super::users::User;
use super::layout::{escape, hidden, page};

/// The account picker; `client` is the application that the sign-in is for.
pub(crate) fn account_picker(users: &[User], ticket: &str, action: &str, client: Option<&str>) -> Response {
    let purpose = client.map_or(String::new(), |client| {
        format!("<p>Sign in to <strong id=\"client\">{}</strong>. No password is needed.</p>", escape(client))
    });
    let mut cards = String::new();
    for user in users {
        let username = escape(&user.username);
        let _ = write!(
            cards,
            "<li><button class=\"card\" id=\"person-{username}\" name=\"username\" value=\"{username}\">\
             <img src=\"/avatars/{}.svg\" alt=\"\" width=\"40\" height=\"40\">\
             <span><strong>{}</strong> <span class=\"quiet\">@{username}</span>\
             <span class=\"about\">{}</span></span></button></li>",
            escape(&user.id),
            escape(&user.name),
            escape(&user.about),
        );
    }
    let body = format!(
        "<h1>Choose an account</h1>{purpose}\
         <form method=\"post\" action=\"{action}\" id=\"people\">{}<ul class=\"cards\">{cards}</ul></form>",
        hidden("ticket", ticket),
    );
    page(StatusCode::OK, "Sign in", &body)
}
