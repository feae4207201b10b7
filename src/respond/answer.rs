//! The common properties of the gate's answers: never cached, never framed.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use serde_json::Value;

use crate::pages::{self, Page};

/// The policy for answers that are not pages: they may not load anything or be framed.
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

/// A redirect with `GET` (RFC 9110, section 15.4.3). The body stays empty.
pub(crate) fn redirect(location: &str) -> Response<Bytes> {
    let mut response = bare(StatusCode::FOUND, Bytes::new(), "text/plain; charset=utf-8", NO_PAGE);
    // The location was serialized by a URL parser, so it is ASCII.
    let location = HeaderValue::from_str(location).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// The maximum size of the head of an answer that goes on somewhere. Servers in front accept
/// 4096 bytes (nginx' `proxy_buffer_size`), and they and the listener add fields.
pub(crate) const MAX_HEAD: usize = 3_800;

/// A redirect with these cookies. If the head would be too large for servers in front, a
/// page whose body has the address, and which goes on by itself.
pub(crate) fn onward(location: &str, lines: impl IntoIterator<Item = HeaderValue>) -> Response<Bytes> {
    let lines: Vec<HeaderValue> = lines.into_iter().collect();
    let redirect = with_cookies(redirect(location), lines.iter().cloned());
    if head_size(&redirect) <= MAX_HEAD {
        return redirect;
    }
    with_cookies(page(StatusCode::OK, pages::onward(location)), lines)
}

/// A redirect of a request that is not answered over http. The page in its place is no
/// success: forward auth takes one as permission.
pub(crate) fn onward_over_https(location: &str) -> Response<Bytes> {
    let mut redirect = redirect(location);
    if head_size(&redirect) <= MAX_HEAD {
        *redirect.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        return redirect;
    }
    page(StatusCode::FORBIDDEN, pages::onward(location))
}

/// The size of a head, without its first line.
pub(crate) fn head_size<B>(response: &Response<B>) -> usize {
    response.headers().iter().map(|(name, value)| field_size(name, value)).sum()
}

/// The size of a field, with its separators.
pub(crate) fn field_size(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + 4
}

/// Adds these `Set-Cookie` lines.
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
    // Not `no-referrer`: it would make the gate's own form send `Origin: null`.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
