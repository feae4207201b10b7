//! The reverse proxy: the gate around an upstream.
//!
//! It lives on the library's own public API: [`Gate::handle`] decides, and
//! [`Upstream::send`] takes the grant.

use std::convert::Infallible;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use crate::client::{Client, speaks_openai, wants_html};
use crate::gate::{Gate, GateBody, Grant};
use crate::oauth2::answer;
use crate::pages;
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
    async fn forward(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, Infallible> {
        // The gate lets nothing pass without a grant.
        let Some(grant) = request.extensions().get::<Grant>().cloned() else {
            let (status, page) = (StatusCode::INTERNAL_SERVER_ERROR, pages::internal());
            return Ok(answer::page(status, page).map(ResponseBody::whole));
        };
        let asked = Asked::of(&request);
        Ok(match self.upstream.send(&grant, request).await {
            Ok(response) => response,
            Err(error) => asked.failed(&error, &grant).map(ResponseBody::whole),
        })
    }
}

/// What of a request is needed to explain that the app did not answer it.
struct Asked {
    host: String,
    target: http::Uri,
    page: bool,
    speaks_openai: bool,
}

impl Asked {
    fn of(request: &Request<Incoming>) -> Self {
        Self {
            host: request.extensions().get::<Client>().map(|client| client.host.clone()).unwrap_or_default(),
            target: request.uri().clone(),
            page: wants_html(request.headers()),
            speaks_openai: speaks_openai(request.headers()),
        }
    }

    /// 502, 504 or 413. What people see names no internal address; the log does.
    fn failed(&self, error: &UpstreamError, grant: &Grant) -> Response<bytes::Bytes> {
        let signed_in = grant.user().is_some();
        let retry = self.target.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
        let (status, code, description, page) = match error {
            UpstreamError::TooLarge(limit) => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("The request's body is longer than the {limit} bytes that are let through."),
                pages::too_large(&size(*limit)),
            ),
            UpstreamError::Timeout(_) => (
                StatusCode::GATEWAY_TIMEOUT,
                "upstream_timeout",
                "The app behind this proxy did not answer in time.".to_owned(),
                pages::upstream_slow(&self.host, signed_in, retry),
            ),
            UpstreamError::Connect(..) | UpstreamError::Broken(..) | UpstreamError::Unasked(_) => (
                StatusCode::BAD_GATEWAY,
                "upstream_down",
                "The app behind this proxy does not answer.".to_owned(),
                pages::upstream_down(&self.host, signed_in, retry),
            ),
        };
        if !matches!(error, UpstreamError::TooLarge(_)) {
            tracing::error!(%error, "no answer from the upstream");
        }
        if self.page {
            return answer::page(status, page);
        }
        let response = answer::json(status, &json!({"error": code, "error_description": description}));
        answer::in_words_of(self.speaks_openai, response)
    }
}

/// A number of bytes, as people write it.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes} bytes"), |(name, unit)| format!("{} {name}", bytes / unit))
}
