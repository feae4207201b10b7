//! Translates HTTP/2 requests to HTTP/1.1, so that the gate and the upstream handle one
//! form of request (RFC 9113, section 8), and responses back to HTTP/2.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use hyper::ext::Protocol;

use super::rejection::Rejection;
use crate::client::{ExtendedConnect, is_http};

/// The limits of a request's head.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadLimits {
    /// `limits.headers`.
    pub(super) lines: usize,
    /// `limits.header_bytes`.
    pub(super) bytes: usize,
}

/// Translates a request to HTTP/1.1. `Some`: it asks for a WebSocket (RFC 8441, section 5).
/// The limits count what HTTP/1.1 would have: the same request gets the same answer.
pub(super) fn into_http1<B: Body>(
    request: &mut Request<B>,
    limits: HeadLimits,
    extended_connect: impl FnOnce() -> ExtendedConnect,
) -> Result<Option<ExtendedConnect>, Rejection> {
    join_cookies(request.headers_mut());
    insert_host(request);
    if request.headers().len() > limits.lines {
        return Err(Rejection::TooManyHeaders);
    }
    if http1_size(request) > limits.bytes {
        return Err(Rejection::HeadTooLarge);
    }
    // The gate treats only a request without a body as a CORS preflight, so a body must
    // show in the headers; HTTP/2 needs no `content-length` for one.
    if *request.method() == Method::OPTIONS
        && !request.body().is_end_stream()
        && !request.headers().contains_key(CONTENT_LENGTH)
    {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let is_websocket =
        *request.method() == Method::CONNECT && request.extensions().get::<Protocol>().is_some();
    if !is_websocket {
        return Ok(None);
    }
    request_websocket(request)?;
    Ok(Some(extended_connect()))
}

/// The length of the head as HTTP/1.1 writes it.
fn http1_size<B>(request: &Request<B>) -> usize {
    let target = request.uri().path_and_query().map_or(1, |target| target.as_str().len());
    let line = request.method().as_str().len() + target + "  HTTP/1.1\r\n\r\n".len();
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4);
    line + fields.sum::<usize>()
}

/// Joins the `Cookie` lines: HTTP/2 clients may send several, HTTP/1.1 allows one
/// (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(COOKIE).iter();
    if lines.next().is_none() || lines.next().is_none() {
        return;
    }
    let mut joined = Vec::new();
    for line in headers.get_all(COOKIE) {
        if !joined.is_empty() {
            joined.extend_from_slice(b"; ");
        }
        joined.extend_from_slice(line.as_bytes());
    }
    // Valid values joined by "; " are a valid value.
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

/// Moves `:authority` to `Host`, and leaves the target in origin form. An authority that
/// differs from `Host`, or a scheme that is not HTTP's, is kept, and the gate refuses the
/// request.
fn insert_host<B>(request: &mut Request<B>) {
    let Some(authority) = request.uri().authority() else { return };
    if request.uri().scheme().is_some_and(|scheme| !is_http(scheme)) {
        return;
    }
    match request.headers().get(HOST) {
        Some(host) if host.as_bytes() != authority.as_str().as_bytes() => return,
        Some(_) => {}
        None => {
            let Ok(host) = HeaderValue::from_str(authority.as_str()) else { return };
            request.headers_mut().insert(HOST, host);
        }
    }
    if let Some(target) = request.uri().path_and_query() {
        *request.uri_mut() = Uri::from(target.clone());
    }
}

/// Turns an extended CONNECT into a WebSocket handshake with a key of our own.
fn request_websocket<B>(request: &mut Request<B>) -> Result<(), Rejection> {
    let protocol = request.extensions_mut().remove::<Protocol>();
    if !protocol.is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case("websocket")) {
        return Err(Rejection::UnsupportedConnect);
    }
    let mut nonce = [0; 16];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Rejection::NoRandomness)?;
    let key = HeaderValue::from_str(&STANDARD.encode(nonce)).map_err(|_| Rejection::NoRandomness)?;
    *request.method_mut() = Method::GET;
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_KEY, key);
    Ok(())
}

/// Translates a response to HTTP/2. `is_websocket`: the request asked for a WebSocket; a
/// 101 then becomes 200 (RFC 8441, section 5).
pub(super) fn response_into_http2<B>(response: &mut Response<B>, is_websocket: bool) {
    *response.version_mut() = http::Version::HTTP_2;
    let headers = response.headers_mut();
    headers.remove(CONNECTION);
    headers.remove(UPGRADE);
    headers.remove(TRANSFER_ENCODING);
    if is_websocket && response.status() == StatusCode::SWITCHING_PROTOCOLS {
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
    } else if is_websocket && response.status().is_success() {
        // A success without 101 would tell the client that the WebSocket is open.
        *response.status_mut() = StatusCode::BAD_GATEWAY;
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{Empty, Full};

    use super::*;

    fn guard() -> ExtendedConnect {
        ExtendedConnect::new(())
    }

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<Empty<bytes::Bytes>> {
        let mut request = Request::builder().method(method).uri(uri).version(http::Version::HTTP_2);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Empty::new()).unwrap()
    }

    fn lines(lines: usize) -> HeadLimits {
        HeadLimits { lines, bytes: 1000 }
    }

    #[test]
    fn authority_and_cookies_become_one_header_each() {
        let mut request =
            request("GET", "https://a.example/p?q", &[("cookie", "a=1"), ("cookie", "b=2; c=3")]);
        let extended_connect = into_http1(&mut request, lines(100), guard).unwrap();
        assert!(extended_connect.is_none());
        assert_eq!(request.uri(), "/p?q");
        assert_eq!(request.headers()["host"], "a.example");
        assert_eq!(request.headers().get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }

    #[test]
    fn an_authority_that_differs_from_host_is_kept() {
        let mut request = request("GET", "https://a.example/", &[("host", "b.example")]);
        into_http1(&mut request, lines(100), guard).unwrap();
        assert_eq!(request.uri().authority().unwrap(), "a.example");
    }

    #[test]
    fn a_body_without_a_length_is_announced() {
        let mut request = Request::options("http://a/").body(Full::<bytes::Bytes>::from("x")).unwrap();
        into_http1(&mut request, lines(100), guard).unwrap();
        assert_eq!(request.headers()["transfer-encoding"], "chunked");
    }

    #[test]
    fn each_websocket_handshake_gets_a_new_key() {
        let connect = || {
            let mut request =
                request("CONNECT", "https://a.example/ws", &[("sec-websocket-protocol", "chat")]);
            request.extensions_mut().insert(Protocol::from_static("websocket"));
            let extended_connect = into_http1(&mut request, lines(100), guard).unwrap();
            (request, extended_connect)
        };
        let (first, extended_connect) = connect();
        assert!(extended_connect.is_some() && first.method() == Method::GET && first.uri() == "/ws");
        assert_eq!(first.headers()["upgrade"], "websocket");
        assert_eq!(first.headers()["sec-websocket-protocol"], "chat");
        assert_ne!(first.headers()["sec-websocket-key"], connect().0.headers()["sec-websocket-key"]);
        let mut other = request("CONNECT", "https://a.example/x", &[]);
        other.extensions_mut().insert(Protocol::from_static("connect-udp"));
        assert_eq!(into_http1(&mut other, lines(100), guard).unwrap_err(), Rejection::UnsupportedConnect);
    }

    #[test]
    fn the_lines_that_http_1_would_have_are_counted() {
        let mut fits =
            request("GET", "https://a.example/", &[("cookie", "a=1"), ("cookie", "b=2"), ("a", "1")]);
        assert!(into_http1(&mut fits, lines(3), guard).is_ok(), "Host, Cookie and one more");
        let mut more = request("GET", "https://a.example/", &[("a", "1"), ("b", "2"), ("c", "3")]);
        assert_eq!(into_http1(&mut more, lines(3), guard).unwrap_err(), Rejection::TooManyHeaders);
    }

    #[test]
    fn the_bytes_that_http_1_would_have_are_counted() {
        let head = "GET /p?q HTTP/1.1\r\nhost: a.example\r\ncookie: a=1; b=2\r\na: 1\r\n\r\n";
        let headers = [("cookie", "a=1"), ("cookie", "b=2"), ("a", "1")];
        for (bytes, fits) in [(head.len(), true), (head.len() - 1, false)] {
            let mut request = request("GET", "https://a.example/p?q", &headers);
            let translated = into_http1(&mut request, HeadLimits { lines: 100, bytes }, guard);
            assert_eq!(translated.err(), (!fits).then_some(Rejection::HeadTooLarge));
        }
    }
}
