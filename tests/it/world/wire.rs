//! Raw HTTP/1.1: one request on a separate connection, nothing added, nothing followed.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION, SET_COOKIE};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::app::Echo;
use super::{CLIENT_SECRET, SECRET};

/// The start of a JWT: `{"alg":` and `{"typ":` in base64url.
pub(crate) const JWT: [&str; 2] = ["eyJhbGciOi", "eyJ0eXAiOi"];
/// The policy of pages and answers of an embedder.
pub(crate) const EMBEDDER_POLICY: &str = "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// The maximum time before a test is aborted.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Ask {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Self { method, target: target.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A page navigation as Chrome sends it.
    pub(crate) fn navigation(target: &str) -> Self {
        Self::get(target)
            .with("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/140.0.0.0")
            .with("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8")
            .with("upgrade-insecure-requests", "1")
            .with("sec-fetch-site", "none")
            .with("sec-fetch-mode", "navigate")
            .with("sec-fetch-user", "?1")
            .with("sec-fetch-dest", "document")
    }

    /// A `fetch()` from a page of the app as Chrome sends it.
    pub(crate) fn fetch(target: &str) -> Self {
        Self::get(target)
            .with("accept", "*/*")
            .with("sec-fetch-site", "same-origin")
            .with("sec-fetch-mode", "cors")
            .with("sec-fetch-dest", "empty")
    }

    /// A WebSocket handshake (RFC 6455, section 1.3).
    pub(crate) fn websocket(target: &str) -> Self {
        Self::get(target)
            .with("connection", "Upgrade")
            .with("upgrade", "websocket")
            .with("sec-websocket-version", "13")
            .with("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    /// Adds a header; others with the same name are kept.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    /// Replaces the headers with the same name.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.headers.remove(name);
        self.with(name, value)
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = Method::from_bytes(method.as_bytes()).unwrap();
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn or_host(mut self, host: &str) -> Self {
        if !self.headers.contains_key(HOST) {
            self.headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        }
        self
    }

    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    pub(crate) fn method_name(&self) -> String {
        self.method.to_string()
    }

    /// The same request for another target.
    pub(crate) fn retarget(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }
}

/// A response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The request, for messages.
    asked: String,
    /// The request's `Authorization`: no answer of the gate may repeat it.
    credentials: Vec<HeaderValue>,
}

/// Sends `ask` and reads the complete response.
pub(crate) async fn send(address: &str, ask: Ask) -> Answer {
    let asked = format!("{} {}", ask.method, ask.target);
    let credentials: Vec<HeaderValue> = ask.headers.get_all(AUTHORIZATION).iter().cloned().collect();
    let exchange = async {
        let response = begin(address, ask).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body, asked: asked.clone(), credentials }
    };
    tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| panic!("no answer to {asked}"))
}

/// Sends `ask` and reads the head of the response.
pub(crate) async fn begin(address: &str, ask: Ask) -> http::Response<hyper::body::Incoming> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http1::Builder::new().handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async move {
        // The reader of the response detects an error.
        let _ = connection.with_upgrades().await;
    });
    let mut request = Request::builder().method(ask.method).uri(&ask.target);
    *request.headers_mut().unwrap() = ask.headers;
    let response = sender.send_request(request.body(Full::new(ask.body)).unwrap()).await.unwrap();
    // The connection closes when both are dropped; the body keeps it open.
    drop(sender);
    response
}

/// Sends a handshake and returns the raw stream after the 101.
pub(crate) async fn upgraded(address: &str, ask: Ask) -> TokioIo<Upgraded> {
    let response = begin(address, ask).await;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    TokioIo::new(hyper::upgrade::on(response).await.unwrap())
}

/// Sends exactly these bytes and reads until the peer closes.
pub(crate) async fn raw(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    // A reset after the response ends it too.
    let _ = read.unwrap_or_else(|_| panic!("no end of the answer to {}", String::from_utf8_lossy(bytes)));
    String::from_utf8_lossy(&answer).into_owned()
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?} is no JSON"))
    }

    /// The only header with this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        assert!(self.headers.get_all(name).iter().count() <= 1, "{name} is there twice: {self:?}");
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn location(&self) -> &str {
        assert!(self.status.is_redirection(), "no redirect: {self:?}");
        self.header(LOCATION.as_str()).unwrap()
    }

    /// Where a browser goes from here by itself: a redirect, or a page with a refresh.
    pub(crate) fn goes_on_to(&self) -> Option<String> {
        if self.status.is_redirection() {
            return Some(self.location().to_owned());
        }
        let (_, rest) = std::str::from_utf8(&self.body)
            .ok()?
            .split_once("<meta http-equiv=\"refresh\" content=\"0; url=")?;
        Some(rest.split_once('"')?.0.replace("&amp;", "&"))
    }

    /// The size of the head over HTTP/1.1.
    pub(crate) fn head_size(&self) -> usize {
        let fields: usize =
            self.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        format!("HTTP/1.1 {} {}\r\n\r\n", self.status, "").len() + fields
    }

    /// The `Set-Cookie` lines.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        self.headers.get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap()).collect()
    }

    /// The `Set-Cookie` line of a cookie with this name prefix.
    pub(crate) fn cookie(&self, start: &str) -> Option<&str> {
        self.cookies().into_iter().find(|line| line.starts_with(start))
    }

    /// Whether the response is the app's.
    pub(crate) fn is_from_app(&self) -> bool {
        self.headers.contains_key("x-from-app")
    }

    /// The request that the app received.
    pub(crate) fn echo(&self) -> Echo {
        assert!(self.is_from_app(), "the response is not from the app: {self:?}");
        Echo(self.json())
    }

    /// Asserts the status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{} was answered with {self:?}", self.asked);
        self
    }

    /// Asserts a page that contains `words`.
    #[track_caller]
    pub(crate) fn expect_page(self, status: u16, words: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{answer:?}");
        assert!(answer.text().contains(words), "{words:?} is not in {}", answer.text());
        answer
    }

    /// The invariants of every answer of the gate (attacks: tokens in pages and URLs;
    /// cached redirects and refusals).
    #[track_caller]
    pub(crate) fn check(&self) {
        // hyper sends 431 itself, before there is a request; it has no content.
        let before_us = self.status == 431 && self.body.is_empty();
        if self.is_from_app() || self.status.is_informational() || before_us {
            return;
        }
        let asked = &self.asked;
        let has = |name: &str, value: &str| {
            let found = self.header(name).unwrap_or_default();
            assert!(found.contains(value), "{asked}: {name} lacks {value:?}: {self:?}");
        };
        if self.status == 200 && asked.ends_with("/jwks.json") {
            has("cache-control", "max-age=300");
        } else {
            assert_eq!(self.header("cache-control"), Some("no-store"), "{asked}: {self:?}");
        }
        has("x-content-type-options", "nosniff");
        has("referrer-policy", "same-origin");
        has("content-security-policy", "default-src 'none'");
        has("content-security-policy", "frame-ancestors ");
        let policy = self.header("content-security-policy").unwrap();
        let ours = !policy.contains("unsafe") && !policy.contains("script-src");
        assert!(ours || policy == EMBEDDER_POLICY, "{policy}");
        let whole = format!("{}{}", self.header("location").unwrap_or_default(), self.text());
        // The ID token is for the provider that signed it (RP-Initiated Logout 1.0, section 2).
        let whole = whole
            .split("id_token_hint=")
            .enumerate()
            .map(|(at, part)| if at == 0 { part } else { part.split_once('&').map_or("", |(_, rest)| rest) })
            .collect::<String>();
        for secret in ["hf_oauth_", "hf_app_", JWT[0], JWT[1], CLIENT_SECRET, SECRET] {
            assert!(!whole.contains(secret), "{asked}: {secret} shows in {whole}");
        }
        let whole = format!("{:?} {whole}", self.headers);
        for credentials in &self.credentials {
            let words = String::from_utf8_lossy(credentials.as_bytes()).into_owned();
            // Words like "Bearer" and "hf_" occur in sentences.
            for word in words.split([' ', ',', '"', ':']).filter(|word| word.len() > 7) {
                assert!(!whole.contains(word), "{asked}: {word} shows in {whole}");
            }
        }
        assert!(!self.text().contains("<script"), "{asked}: a script in {}", self.text());
    }
}
