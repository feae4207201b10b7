//! The frame around every page, and escaping.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};

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

/// A page with one thing to say.
pub(crate) fn notice(status: StatusCode, title: &str, text: &str) -> Response {
    let body = format!("<h1 id=\"notice\">{}</h1><p>{}</p>", escape(title), escape(text));
    page(status, title, &body)
}

/// The frame around every page; `body` is HTML.
pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Response {
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
pub(super) fn hidden(name: &str, value: &str) -> String {
    format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escape(value))
}

/// Text as it may stand in HTML, between tags and in a quoted attribute.
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
    fn nothing_gets_out_of_an_attribute() {
        assert_eq!(escape("<a b='c' d=\"&\">"), "&lt;a b=&#39;c&#39; d=&quot;&amp;&quot;&gt;");
    }
}
