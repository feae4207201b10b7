//! Requests of HTTP/2 in the words of HTTP/1.1, so that everything behind the
//! listener judges and sends one kind of request (RFC 9113, section 8).

use std::any::Any;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use hyper::ext::Protocol;

use crate::client::ExtendedConnect;

/// Why a request is answered without being looked at any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejection {
    /// A raw `#` in the target of HTTP/1.
    Fragment,
    /// More header lines than there may be.
    Headers,
    /// CONNECT to become something that is no WebSocket.
    Protocol,
    /// There is no randomness for a WebSocket's key.
    Random,
}

impl Rejection {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Fragment => StatusCode::BAD_REQUEST,
            Self::Headers => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            // RFC 9220, section 3.
            Self::Protocol => StatusCode::NOT_IMPLEMENTED,
            Self::Random => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn line(self) -> &'static str {
        match self {
            Self::Fragment => "the address of a request cannot have a raw # in it\n",
            Self::Headers => "the request has too many headers\n",
            Self::Protocol => "only WebSockets are tunnelled here\n",
            Self::Random => "something went wrong here\n",
        }
    }
}

/// The request as HTTP/1.1 would have said it, and whether it is to become a
/// WebSocket (RFC 8441, section 5); then `tunnel_held` is held as long as that lasts.
pub(super) fn into_http1<B: Body>(
    mut request: Request<B>,
    most_headers: usize,
    tunnel_held: impl FnOnce() -> Arc<dyn Any + Send + Sync>,
) -> Result<(Request<B>, bool), Rejection> {
    if request.headers().len() > most_headers {
        return Err(Rejection::Headers);
    }
    join_cookies(request.headers_mut());
    name_host(&mut request);
    // A preflight has no body; the length of one need not be told here.
    if *request.method() == Method::OPTIONS
        && !request.body().is_end_stream()
        && !request.headers().contains_key(CONTENT_LENGTH)
    {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let tunnel = *request.method() == Method::CONNECT && request.extensions().get::<Protocol>().is_some();
    if tunnel {
        ask_for_websocket(&mut request, tunnel_held())?;
    }
    Ok((request, tunnel))
}

/// Browsers send each cookie in a line of its own; HTTP/1.1 has one
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
    // Pieces of valid lines are a valid line.
    if let Ok(joined) = HeaderValue::from_bytes(&joined) {
        headers.insert(COOKIE, joined);
    }
}

/// `:authority` is `Host`, and the target its path. One that contradicts `Host`
/// stays, and is refused by whoever asks which host is meant.
fn name_host<B>(request: &mut Request<B>) {
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

fn ask_for_websocket<B>(request: &mut Request<B>, held: Arc<dyn Any + Send + Sync>) -> Result<(), Rejection> {
    let protocol = request.extensions_mut().remove::<Protocol>();
    if !protocol.is_some_and(|protocol| protocol.as_str().eq_ignore_ascii_case("websocket")) {
        return Err(Rejection::Protocol);
    }
    let mut nonce = [0; 16];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Rejection::Random)?;
    let key = HeaderValue::from_str(&STANDARD.encode(nonce)).map_err(|_| Rejection::Random)?;
    *request.method_mut() = Method::GET;
    request.extensions_mut().insert(ExtendedConnect(held));
    let headers = request.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_KEY, key);
    Ok(())
}

/// The response in the words of HTTP/2. `tunnel`: its request was to become a
/// WebSocket; then 101 is 200, and what agrees to the upgrade goes without saying.
pub(super) fn answered<B>(response: &mut Response<B>, tunnel: bool) {
    *response.version_mut() = http::Version::HTTP_2;
    let headers = response.headers_mut();
    headers.remove(CONNECTION);
    headers.remove(UPGRADE);
    headers.remove(TRANSFER_ENCODING);
    if tunnel && response.status() == StatusCode::SWITCHING_PROTOCOLS {
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
    } else if tunnel && response.status().is_success() {
        // It would say that there is a WebSocket now (RFC 8441, section 5).
        *response.status_mut() = StatusCode::BAD_GATEWAY;
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{Empty, Full};

    use super::*;

    fn held() -> Arc<dyn Any + Send + Sync> {
        Arc::new(())
    }

    fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<Empty<bytes::Bytes>> {
        let mut request = Request::builder().method(method).uri(uri).version(http::Version::HTTP_2);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Empty::new()).unwrap()
    }

    #[test]
    fn authority_and_cookies_become_one_line_each() {
        let request = request("GET", "https://a.example/p?q", &[("cookie", "a=1"), ("cookie", "b=2; c=3")]);
        let (request, tunnel) = into_http1(request, 100, held).unwrap();
        assert!(!tunnel);
        assert_eq!(request.uri(), "/p?q");
        assert_eq!(request.headers()["host"], "a.example");
        assert_eq!(request.headers().get_all("cookie").iter().collect::<Vec<_>>(), ["a=1; b=2; c=3"]);
    }

    #[test]
    fn a_host_that_contradicts_is_left_to_be_refused() {
        let request = request("GET", "https://a.example/", &[("host", "b.example")]);
        let (request, _) = into_http1(request, 100, held).unwrap();
        assert_eq!(request.uri().authority().unwrap(), "a.example");
    }

    #[test]
    fn a_body_without_a_length_shows() {
        let request = Request::options("http://a/").body(Full::<bytes::Bytes>::from("x")).unwrap();
        let (request, _) = into_http1(request, 100, held).unwrap();
        assert_eq!(request.headers()["transfer-encoding"], "chunked");
    }

    #[test]
    fn a_websocket_is_asked_for_with_a_key_of_its_own() {
        let connect = || {
            let mut request =
                request("CONNECT", "https://a.example/ws", &[("sec-websocket-protocol", "chat")]);
            request.extensions_mut().insert(Protocol::from_static("websocket"));
            into_http1(request, 100, held).unwrap()
        };
        let (first, tunnel) = connect();
        assert!(tunnel && first.method() == Method::GET && first.uri() == "/ws");
        assert_eq!(first.headers()["upgrade"], "websocket");
        assert_eq!(first.headers()["sec-websocket-protocol"], "chat");
        assert_ne!(first.headers()["sec-websocket-key"], connect().0.headers()["sec-websocket-key"]);
        let mut other = request("CONNECT", "https://a.example/x", &[]);
        other.extensions_mut().insert(Protocol::from_static("connect-udp"));
        assert_eq!(into_http1(other, 100, held).unwrap_err(), Rejection::Protocol);
    }

    #[test]
    fn too_many_headers_are_refused() {
        assert_eq!(
            into_http1(request("GET", "/", &[("a", "1"), ("b", "2")]), 1, held).unwrap_err(),
            Rejection::Headers
        );
    }
}
