//! 502, 503, 504, 408 and 413: the app did not answer an allowed request, or did not
//! receive it completely. The texts contain no internal address; the log does.

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::json;

use super::kept_head::FailedRequest;
use super::{answer, grpc, openai};
use crate::pages;

/// Why the app gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpstreamFailure {
    /// The body is longer than this many bytes (`limits.body_bytes`).
    TooLarge(u64),
    /// The client did not send the rest of the body.
    IncompleteBody,
    /// The app did not answer in time.
    Timeout,
    /// All of `limits.upstream_connections` are in use.
    Busy,
    /// The app answered, and its answer cannot be passed on.
    InvalidResponse,
    /// The header of the app's answer is too long.
    HeaderTooLarge,
    /// The app is unreachable. `close`: the client may still be
    /// sending the rest of the request.
    Down { close: bool },
}

/// The answer that replaces the app's.
pub(crate) fn upstream_failed(failure: UpstreamFailure, request: FailedRequest<'_>) -> Response<Bytes> {
    let (status, code, description) = described(failure);
    let mut response = if request.wants_page() {
        answer::page(status, page(failure, request))
    } else {
        let response = answer::json(status, &json!({"error": code, "error_description": description}));
        grpc::adapt(request.content_type, openai::adapt(request.speaks_openai, response))
    };
    match failure {
        UpstreamFailure::Busy => {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        UpstreamFailure::IncompleteBody | UpstreamFailure::Down { close: true } => {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        UpstreamFailure::TooLarge(_)
        | UpstreamFailure::Timeout
        | UpstreamFailure::InvalidResponse
        | UpstreamFailure::HeaderTooLarge
        | UpstreamFailure::Down { close: false } => {}
    }
    response
}

fn described(failure: UpstreamFailure) -> (StatusCode, &'static str, String) {
    match failure {
        UpstreamFailure::TooLarge(limit) => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("The request body is longer than the limit of {limit} bytes."),
        ),
        UpstreamFailure::IncompleteBody => (
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "The rest of the request body did not arrive.".to_owned(),
        ),
        UpstreamFailure::Timeout => (
            StatusCode::GATEWAY_TIMEOUT,
            "upstream_timeout",
            "The app behind this proxy did not answer in time.".to_owned(),
        ),
        UpstreamFailure::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "upstream_busy",
            "All connections to the app behind this proxy are in use; try again.".to_owned(),
        ),
        UpstreamFailure::InvalidResponse => (
            StatusCode::BAD_GATEWAY,
            "upstream_invalid",
            "The app behind this proxy sent a response that is not valid HTTP.".to_owned(),
        ),
        UpstreamFailure::HeaderTooLarge => (
            StatusCode::BAD_GATEWAY,
            "upstream_invalid",
            "The app behind this proxy sent a response whose header is too large.".to_owned(),
        ),
        UpstreamFailure::Down { .. } => (
            StatusCode::BAD_GATEWAY,
            "upstream_down",
            "The app behind this proxy does not answer.".to_owned(),
        ),
    }
}

fn page(failure: UpstreamFailure, request: FailedRequest<'_>) -> pages::Page {
    let FailedRequest { host, target, signed_in, .. } = request;
    match failure {
        UpstreamFailure::TooLarge(limit) => pages::body_too_large(&size(limit)),
        UpstreamFailure::IncompleteBody => pages::request_incomplete(),
        UpstreamFailure::Timeout => pages::upstream_slow(host, signed_in, target),
        UpstreamFailure::Busy => pages::upstream_busy(host, signed_in, target),
        UpstreamFailure::InvalidResponse => pages::upstream_invalid(host, signed_in, target),
        UpstreamFailure::HeaderTooLarge => pages::upstream_header_too_large(host, signed_in, target),
        UpstreamFailure::Down { .. } => pages::upstream_down(host, signed_in, target),
    }
}

/// A number of bytes with a unit.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes} bytes"), |(name, unit)| format!("{} {name}", bytes / unit))
}
