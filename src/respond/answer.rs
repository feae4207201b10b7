//! The common properties of the gate's answers: never cached, never framed.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, LOCATION, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Response, StatusCode};
use serde_json::Value;

use crate::hooks::PageContent;
use crate::pages::{self, Page};

/// The policy for answers that are not pages: they may not load anything or be framed.
const NO_PAGE: &str = "default-src 'none'; frame-ancestors 'none'";

/// What an error says, whatever its form: in the answer's extensions, for the app's hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// As in the field `error`.
    pub(crate) code: String,
    /// As in the field `error_description`.
    pub(crate) text: String,
}

/// The same error as a page.
pub(crate) fn error_page(status: StatusCode, code: &str, text: &str, error: Page) -> Response<Bytes> {
    let mut response = page(status, error);
    response.extensions_mut().insert(Said { code: code.to_owned(), text: text.to_owned() });
    response
}

/// Says what a page contains: in the answer's extensions, for the app's own pages.
pub(crate) fn about(mut page: Response<Bytes>, content: PageContent) -> Response<Bytes> {
    page.extensions_mut().insert(content);
    page
}

/// The type of a page.
pub(crate) const PAGE: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// A page.
pub(crate) fn page(status: StatusCode, page: Page) -> Response<Bytes> {
    let framed = page.csp.ends_with('*');
    let mut response = bare(status, Bytes::from(page.html), PAGE, page.csp);
    if !framed {
        response.headers_mut().insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    response
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A JSON document.
pub(crate) fn json(status: StatusCode, document: &Value) -> Response<Bytes> {
    let mut response = bare(status, Bytes::from(document.to_string()), JSON, NO_PAGE);
    let field = |name| document.get(name).and_then(Value::as_str).map(str::to_owned);
    if let (Some(code), Some(text)) = (field("error"), field("error_description")) {
        response.extensions_mut().insert(Said { code, text });
    }
    response
}

/// A line of text.
pub(crate) fn text(status: StatusCode, line: &'static str) -> Response<Bytes> {
    bare(status, Bytes::from_static(line.as_bytes()), PLAIN_TEXT, NO_PAGE)
}

/// A redirect with `GET` (RFC 9110, section 15.4.3). The body stays empty.
pub(crate) fn redirect(location: &str) -> Response<Bytes> {
    let mut response = bare(StatusCode::FOUND, Bytes::new(), PLAIN_TEXT, NO_PAGE);
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

/// Fields of ours that an answer of the app's hook gets as well.
pub(crate) const ADDED: [HeaderName; 2] = [SET_COOKIE, WWW_AUTHENTICATE];
/// Fields of ours that replace those of such an answer.
pub(crate) const KEPT: [HeaderName; 3] = [ALLOW, CONNECTION, RETRY_AFTER];
/// The type of a text, and of an answer of the app's hook that names none.
pub(crate) const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The policy for pages of the app's own: its styles and images, and no scripts.
pub(crate) const APP_PAGE: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds what protects a page of the app's own, where it does not say so itself.
pub(crate) fn secure(headers: &mut HeaderMap) {
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(APP_PAGE));
        headers.entry(X_FRAME_OPTIONS).or_insert(HeaderValue::from_static("DENY"));
    }
    for (name, value) in PROTECTION {
        headers.entry(name).or_insert(value);
    }
}

/// What every answer has. Not `no-referrer`: it would make the gate's own form send
/// `Origin: null`.
const PROTECTION: [(HeaderName, HeaderValue); 3] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
];

fn bare(status: StatusCode, body: Bytes, content_type: HeaderValue, policy: &'static str) -> Response<Bytes> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.extend(PROTECTION);
    response
}
