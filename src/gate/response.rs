//! The response of the app: its cookies, the session's new cookie, and caching.

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http_body::Body;

use super::body::GateBody;
use super::grant::Grant;
use super::permission_watch::PermissionWatch;
use crate::session::Cookies;

/// Completes the response of the app: `Set-Cookie` lines for our cookies are removed,
/// `renewal` is added unless a shared cache may store the response, and `watch` ends the
/// body with its permission.
pub(super) fn finish<B: Body<Data = Bytes>>(
    mut response: Response<B>,
    grant: &Grant,
    cookies: &Cookies,
    renewal: Option<&[HeaderValue]>,
    watch: Option<PermissionWatch>,
) -> Response<GateBody<B>> {
    let headers = response.headers_mut();
    // Most responses set none, and comparing the names costs less than computing the hash of one.
    if headers.keys().any(|name| *name == SET_COOKIE) {
        guard_cookies(cookies, headers);
    }
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if grant.user().is_some() && is_page(content_type) {
        keep_out_of_history(headers);
    }
    // The person may have signed out while the app was at work.
    if let Some(lines) = renewal.filter(|_| !grant.has_ended()) {
        renew(headers, lines);
    }
    response.map(|body| match watch.filter(|_| !body.is_end_stream()) {
        Some(watch) => GateBody::inner_while(body, watch),
        None => GateBody::inner(body),
    })
}

/// Removes `Set-Cookie` lines for our cookies.
pub(super) fn guard_cookies(cookies: &Cookies, headers: &mut HeaderMap) {
    if !headers.get_all(SET_COOKIE).iter().any(|line| cookies.claims(line)) {
        return;
    }
    let lines: Vec<HeaderValue> =
        headers.get_all(SET_COOKIE).iter().filter(|line| !cookies.claims(line)).cloned().collect();
    headers.remove(SET_COOKIE);
    for line in lines {
        headers.append(SET_COOKIE, line);
    }
}

/// Adds the session's new cookie to a response that no cache shares: one that
/// stored it would give the session to other clients (RFC 9111, section 7.3). A response
/// for shared caches is unchanged, and the next response carries the cookie; a response
/// that says nothing about caches is marked `private`.
fn renew(headers: &mut HeaderMap, lines: &[HeaderValue]) {
    // Fields that CDNs use instead (RFC 9213).
    let targeted = |name: &HeaderName| {
        name.as_str().ends_with("cdn-cache-control") || name.as_str() == "surrogate-control"
    };
    if cache_control(headers, "public") || cache_control(headers, "s-maxage") || headers.keys().any(targeted)
    {
        return;
    }
    if !cache_control(headers, "private") && !cache_control(headers, "no-store") {
        headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    for line in lines {
        headers.append(SET_COOKIE, line.clone());
    }
}

/// Browsers keep a page in the back/forward cache and show it even after a sign-out.
/// `no-store` prevents that in browsers without `Clear-Site-Data`. An app's own
/// `Cache-Control` is unchanged.
fn keep_out_of_history(headers: &mut HeaderMap) {
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn is_page(content_type: &[u8]) -> bool {
    content_type.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"))
}

/// Whether `Cache-Control` has `word` in it.
fn cache_control(headers: &HeaderMap, word: &str) -> bool {
    let mut lines = headers.get_all(CACHE_CONTROL).iter().map(|line| line.as_bytes().to_ascii_lowercase());
    lines.any(|line| memchr::memmem::find(&line, word.as_bytes()).is_some())
}
