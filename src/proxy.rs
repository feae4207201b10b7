//! The reverse proxy: the gate around an upstream.
//!
//! It lives on the library's own public API: [`Gate::handle`] decides, and
//! [`Upstream::send`] takes the grant.

use std::convert::Infallible;

use http::header::{ACCEPT, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use crate::client::{Client, speaks_openai};
use crate::gate::{Gate, GateBody, Grant};
use crate::pages;
use crate::respond::answer;
use crate::upstream::{ResponseBody, Upstream, UpstreamError};

/// The gate in front of an app; cheap to clone.
#[derive(Debug, Clone)]
pub struct Proxy {
    gate: Gate,
    upstream: Upstream,
}

impl Proxy {
    /// Puts `gate` in front of `upstream`.
    #[must_use]
    pub fn new(gate: Gate, upstream: Upstream) -> Self {
        Self { gate, upstream }
    }

    /// The gate.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Where requests go that may enter.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Answers a request: the app's response, or the gate's own.
    pub async fn handle(&self, request: Request<Incoming>) -> Response<GateBody<ResponseBody>> {
        let answered = self.gate.handle(request, |request| self.forward(request)).await;
        match answered {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Sends a request that may enter to the app.
    async fn forward(&self, mut request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
        // The gate lets nothing pass without a grant.
        let Some(grant) = request.extensions().get::<Grant>().cloned() else {
            let (status, page) = (StatusCode::INTERNAL_SERVER_ERROR, pages::internal_error());
            return Ok(answer::page(status, page).map(ResponseBody::whole));
        };
        let asked = RouteQuery::of(&mut request);
        Ok(match self.upstream.send(&grant, request).await {
            Ok(response) => response,
            Err(error) => asked.failed(&error, &grant).map(ResponseBody::whole),
        })
    }
}

/// What of a request is needed to explain that the app did not answer it. Almost
/// all requests are answered, so nothing is copied or read for it before.
struct RouteQuery {
    client: Option<Client>,
    target: http::Uri,
    accept: Option<HeaderValue>,
    kind: Option<HeaderValue>,
    speaks_openai: bool,
}

/// What is said of an error.
struct Words {
    status: StatusCode,
    code: &'static str,
    description: String,
    page: pages::Page,
}

impl RouteQuery {
    fn of(request: &mut Request<Incoming>) -> Self {
        Self {
            // Nobody after this asks who the client is.
            client: request.extensions_mut().remove(),
            target: request.uri().clone(),
            accept: request.headers().get(ACCEPT).cloned(),
            kind: request.headers().get(CONTENT_TYPE).cloned(),
            speaks_openai: speaks_openai(request.headers()),
        }
    }

    /// What people see names no internal address; the log does.
    fn failed(&self, error: &UpstreamError, grant: &Grant) -> Response<bytes::Bytes> {
        match error {
            UpstreamError::TooLarge(_) => {}
            UpstreamError::SlowClient | UpstreamError::ClientLeft(_) | UpstreamError::NoWebSocket(_) => {
                tracing::debug!(%error, "no answer from the upstream");
            }
            _ => tracing::error!(%error, "no answer from the upstream"),
        }
        let words = self.words(error, grant);
        let mut response = self.answer(words);
        match error {
            UpstreamError::Busy(_) => {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // The rest of the request may still come.
            UpstreamError::SlowClient | UpstreamError::ClientLeft(_) | UpstreamError::NoWebSocket(_) => {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }

    fn answer(&self, words: Words) -> Response<bytes::Bytes> {
        let Words { status, code, description, page } = words;
        let html = self
            .accept
            .as_ref()
            .is_some_and(|accept| memchr::memmem::find(accept.as_bytes(), b"text/html").is_some());
        if html {
            return answer::page(status, page);
        }
        let response = answer::json(status, &json!({"error": code, "error_description": description}));
        answer::for_grpc(self.kind.as_ref(), answer::in_words_of(self.speaks_openai, response))
    }

    fn words(&self, error: &UpstreamError, grant: &Grant) -> Words {
        let host = self.client.as_ref().map_or("", |client| &client.host);
        let signed_in = grant.user().is_some();
        let retry = self.target.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let (status, code, description, page) = match error {
            UpstreamError::TooLarge(limit) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("The request's body is longer than the {limit} bytes that are let through."),
                pages::body_too_large(&size(*limit)),
            ),
            UpstreamError::SlowClient | UpstreamError::ClientLeft(_) => (
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "The rest of the request's body did not come.".to_owned(),
                pages::request_incomplete(),
            ),
            UpstreamError::Timeout(_) => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                "The app behind this proxy did not answer in time.".to_owned(),
                pages::upstream_slow(host, signed_in, retry),
            ),
            UpstreamError::Busy(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "upstream_busy",
                "The app behind this proxy has more to do than it is allowed; try again.".to_owned(),
                pages::upstream_busy(host, signed_in, retry),
            ),
            UpstreamError::Connect(..)
            | UpstreamError::Broken(..)
            | UpstreamError::Unasked(_)
            | UpstreamError::NotAccepted(_)
            | UpstreamError::NoWebSocket(_)
            | UpstreamError::Coding(_) => (
                StatusCode::BAD_GATEWAY,
                "upstream_down",
                "The app behind this proxy does not answer.".to_owned(),
                pages::upstream_down(host, signed_in, retry),
            ),
        };
        Words { status, code, description, page }
    }
}

/// A number of bytes, as people write it.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes} bytes"), |(name, unit)| format!("{} {name}", bytes / unit))
}
