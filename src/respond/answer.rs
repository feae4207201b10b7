//! The common form of our answers: never cached, never framed, without a token.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use serde_json::Value;

use crate::pages::Page;

/// For answers that are no page: nothing may load, nothing may frame them.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// A page.
pub(crate) fn page(status: StatusCode, page: Page) -> Response<Bytes> {
    let framed = page.csp.ends_with('*');
    let mut response = bare(status, Bytes::from(page.html), "text/html; charset=utf-8", page.csp);
    if !framed {
        response.headers_mut().insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    response
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, document: &Value) -> Response<Bytes> {
    bare(status, Bytes::from(document.to_string()), "application/json", NO_PAGE)
}

/// A line of text.
pub(crate) fn text(status: StatusCode, line: &'static str) -> Response<Bytes> {
    bare(status, Bytes::from_static(line.as_bytes()), "text/plain; charset=utf-8", NO_PAGE)
}

/// A redirect with `GET` (RFC 9110, section 15.4.3). The body stays empty: what
/// the app has to say is for those who may enter.
pub(crate) fn redirect(location: &str) -> Response<Bytes> {
    let mut response = bare(StatusCode::FOUND, Bytes::new(), "text/plain; charset=utf-8", NO_PAGE);
    // A location is a URL that a parser wrote; it holds nothing but ASCII.
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// With these `Set-Cookie` lines.
pub(crate) fn with_cookies(
    mut response: Response<Bytes>,
    lines: impl IntoIterator<Item = HeaderValue>,
) -> Response<Bytes> {
    for line in lines {
        response.headers_mut().append(SET_COOKIE, line);
    }
    response
}

fn bare(
    status: StatusCode,
    body: Bytes,
    content_type: &'static str,
    policy: &'static str,
) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Not `no-referrer`: under it our own form would send `Origin: null`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
