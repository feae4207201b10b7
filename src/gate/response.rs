//! The app's response on its way back: its cookies, ours, and who may keep it.

use bytes::Bytes;
use http::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http_body::Body;

use super::body::GateBody;
use super::grant::Grant;
use crate::session::Cookies;

/// The app's response on its way back: its cookies cannot be ours, `renewal` is added
/// where no cache shares it, and a stream ends when its permission does.
pub(super) fn finish<B: Body<Data = Bytes>>(
    response: Response<B>,
    grant: &Grant,
    cookies: &Cookies,
    renewal: Option<&[HeaderValue]>,
) -> Response<GateBody<B>> {
    let (mut parts, body) = response.into_parts();
    guard_cookies(cookies, &mut parts.headers);
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let endless = is_endless(content_type);
    if grant.user().is_some() && is_page(content_type) {
        keep_out_of_history(&mut parts.headers);
    }
    // The person may have signed out while the app was at work.
    if let Some(lines) = renewal.filter(|_| !grant.has_ended()) {
        renew(&mut parts.headers, lines);
    }
    let body = if endless {
        let grant = grant.clone();
        GateBody::inner_until(body, Box::pin(async move { grant.ended().await }))
    } else {
        GateBody::inner(body)
    };
    Response::from_parts(parts, body)
}

/// The app cannot set or remove our cookies.
fn guard_cookies(cookies: &Cookies, headers: &mut HeaderMap) {
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
/// stored it would hand the session to everybody (RFC 9111, section 7.3). What
/// is meant for all is left alone, since the next response will do; what a
/// shared cache may keep unless told otherwise is marked as one person's.
fn renew(headers: &mut HeaderMap, lines: &[HeaderValue]) {
    // Fields that a CDN heeds instead (RFC 9213).
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

/// Browsers keep the page one leaves as it stands, and the back button shows it
/// even after a sign-out. `no-store` says not to, where `Clear-Site-Data` is not
/// known. An app that says itself how its page may be kept is not overruled.
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

/// Whether a body goes on for as long as somebody listens, and may end anywhere.
/// One that has an end must not look complete when it is cut.
fn is_endless(content_type: &[u8]) -> bool {
    const KINDS: [&[u8]; 4] =
        [b"text/event-stream", b"application/x-ndjson", b"application/jsonl", b"multipart/x-mixed-replace"];
    KINDS
        .iter()
        .any(|known| content_type.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_end_anywhere_is_told_from_what_has_an_end() {
        for (kind, endless) in [
            ("text/event-stream", true),
            ("Text/Event-Stream; charset=utf-8", true),
            ("application/x-ndjson", true),
            ("multipart/x-mixed-replace; boundary=frame", true),
            ("text/html", false),
            ("application/octet-stream", false),
            ("text/event", false),
        ] {
            assert_eq!(is_endless(kind.as_bytes()), endless, "{kind}");
        }
        assert!(!is_endless(b""));
    }
}
