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
use crate::client::ExtendedConnect;

/// Translates a request to HTTP/1.1. The second value is present if the request asks for
/// a WebSocket (RFC 8441, section 5).
pub(super) fn into_http1<B: Body>(
    mut request: Request<B>,
    max_headers: usize,
    extended_connect: impl FnOnce() -> ExtendedConnect,
) -> Result<(Request<B>, Option<ExtendedConnect>), Rejection> {
    if request.headers().len() > max_headers {
        return Err(Rejection::TooManyHeaders);
    }
    join_cookies(request.headers_mut());
    insert_host(&mut request);
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
        return Ok((request, None));
    }
    request_websocket(&mut request)?;
    Ok((request, Some(extended_connect())))
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
/// differs from `Host` is kept, and the gate refuses the request.
fn insert_host<B>(request: &mut Request<B>) {
    let Some(authority) = request.uri().authority() else { return };
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

    #[test]
    fn authority_and_cookies_become_one_header_each() {
        let request = request("GET", "https://a.example/p?q", &[("cookie", "a=1"), ("cookie", "b=2; c=3")]);
        let (request, extended_connect) = into_http1(request, 100, guard).unwrap();
        assert!(extended_connect.is_none());
        assert_eq!(request.uri(), "/p?q");
        assert_eq!(request.headers()["host"], "a.example");
        assert_eq!(request.headers().get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }

    #[test]
    fn an_authority_that_differs_from_host_is_kept() {
        let request = request("GET", "https://a.example/", &[("host", "b.example")]);
        let (request, _) = into_http1(request, 100, guard).unwrap();
        assert_eq!(request.uri().authority().unwrap(), "a.example");
    }

    #[test]
    fn a_body_without_a_length_is_announced() {
        let request = Request::options("http://a/").body(Full::<bytes::Bytes>::from("x")).unwrap();
        let (request, _) = into_http1(request, 100, guard).unwrap();
        assert_eq!(request.headers()["transfer-encoding"], "chunked");
    }

    #[test]
    fn each_websocket_handshake_gets_a_new_key() {
        let connect = || {
            let mut request =
                request("CONNECT", "https://a.example/ws", &[("sec-websocket-protocol", "chat")]);
            request.extensions_mut().insert(Protocol::from_static("websocket"));
            into_http1(request, 100, guard).unwrap()
        };
        let (first, extended_connect) = connect();
        assert!(extended_connect.is_some() && first.method() == Method::GET && first.uri() == "/ws");
        assert_eq!(first.headers()["upgrade"], "websocket");
        assert_eq!(first.headers()["sec-websocket-protocol"], "chat");
        assert_ne!(first.headers()["sec-websocket-key"], connect().0.headers()["sec-websocket-key"]);
        let mut other = request("CONNECT", "https://a.example/x", &[]);
        other.extensions_mut().insert(Protocol::from_static("connect-udp"));
        assert_eq!(into_http1(other, 100, guard).unwrap_err(), Rejection::UnsupportedConnect);
    }

    #[test]
    fn too_many_headers_are_rejected() {
        assert_eq!(
            into_http1(request("GET", "/", &[("a", "1"), ("b", "2")]), 1, guard).unwrap_err(),
            Rejection::TooManyHeaders
        );
    }
}
