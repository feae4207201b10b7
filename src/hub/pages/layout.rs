//! The layout of every page, and HTML escaping.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

/// The headers of every page. There is no `form-action`: browsers apply it to the redirect
/// after a form, which leads to the client.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (
        HeaderName::from_static("content-security-policy"),
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (HeaderName::from_static("x-frame-options"), "DENY"),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    // Not "no-referrer": browsers would then send `Origin: null` with the forms.
    (HeaderName::from_static("referrer-policy"), "same-origin"),
];

/// A page with a heading and a sentence.
pub(crate) fn notice(status: StatusCode, title: &str, text: &str) -> Response {
    let body = format!("<h1 id=\"notice\">{}</h1><p>{}</p>", escape(title), escape(text));
    page(status, title, &body)
}

/// The document around `body`, which is HTML.
pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{} · stand-in for huggingface.co</title><link rel=\"stylesheet\" href=\"/hub.css\"></head>\
         <body><p class=\"strip\" id=\"stand-in\" role=\"note\"><strong>Stand-in.</strong> This is not huggingface.co. \
         It runs on this machine for development and testing. Do not enter a real password.</p>\
         <main>{body}</main></body></html>",
        escape(title)
    );
    (status, HEADERS, page).into_response()
}

/// A hidden form field.
pub(super) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value))
}

/// Escapes text for use between tags and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
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
    fn quotes_and_brackets_are_escaped() {
        assert_eq!(escape("<a b='c' d=\"&\">"), "&lt;a b=&#39;c&#39; d=&quot;&amp;&quot;&gt;");
    }
}
