//! The page on which a browser picks an account.

use std::fmt::Write;

use axum::http::StatusCode;
use axum::response::Response;

use super::super::users::User;
use super::layout::{escape, hidden, page};

/// "Who do you want to be?"
pub(crate) fn account_picker(users: &[User], ticket: &str, action: &str, client: Option<&str>) -> Response {
    let purpose = client.map_or(String::new(), |client| {
        format!(
            "<p>To sign in to <strong id=\"client\">{}</strong>. There are no passwords here.</p>",
            escape(client)
        )
    });
    let mut cards = String::new();
    for person in users {
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
