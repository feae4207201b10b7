//! 503 and similar: the provider or the store is unavailable. This signs nobody out.

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::json;

use super::answer;
use super::endpoint_urls::EndpointUrls;
use crate::authn::SessionError;
use crate::causes::Causes;
use crate::client::IncomingRequest;
use crate::pages;
use crate::provider::DiscoveryError;

const UNCONFIRMED: &str =
    "Hugging Face is unavailable and cannot confirm that you still have access; its last answer is too old";
pub(super) const STORE_DOWN: &str = "The session store does not answer. Sessions go on; try again.";
const NOT_HELD: &str = "The rules of this app have changed, and they depend on something that only Hugging Face knows, which is unavailable";

/// 503, or 502 if waiting will not help: the provider is unavailable.
pub(crate) fn provider_unavailable(
    request: IncomingRequest<'_>,
    urls: &EndpointUrls,
    error: &DiscoveryError,
) -> Response<Bytes> {
    let status = if error.is_transient() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
    let mut response = if request.wants_page() {
        let cause = format!("The error: {}.", Causes(error));
        answer::error_page(
            status,
            "temporarily_unavailable",
            &cause,
            pages::provider_unavailable(&cause, retry_url(request, urls)),
        )
    } else {
        answer::json(
            status,
            &json!({"error": "temporarily_unavailable", "error_description": format!("The request to Hugging Face failed: {}.", Causes(error))}),
        )
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// 503: it is unknown whether the session is still valid. The cookie is kept.
pub(crate) fn unconfirmed(
    request: IncomingRequest<'_>,
    urls: &EndpointUrls,
    error: SessionError,
) -> Response<Bytes> {
    let (why, retry_after) = match error {
        SessionError::StoreUnavailable => return store_unavailable(request),
        SessionError::Unconfirmed { retry_after } => (UNCONFIRMED, retry_after),
        SessionError::NotHeld { retry_after } => (NOT_HELD, retry_after),
    };
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut response = if request.wants_page() {
        let cause = format!("{why}. You are still signed in.");
        answer::error_page(
            status,
            "temporarily_unavailable",
            &cause,
            pages::provider_unavailable(&cause, retry_url(request, urls)),
        )
    } else {
        let description = format!("{why}. Sessions go on; try again.");
        answer::json(status, &json!({"error": "temporarily_unavailable", "error_description": description}))
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after.max(1)));
    response
}

/// 503: the session cannot be looked up because the store is unavailable. The cookie is
/// kept.
pub(crate) fn store_unavailable(request: IncomingRequest<'_>) -> Response<Bytes> {
    let mut response = if request.wants_page() {
        answer::error_page(
            StatusCode::SERVICE_UNAVAILABLE,
            "temporarily_unavailable",
            STORE_DOWN,
            pages::store_unavailable(),
        )
    } else {
        answer::json(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({"error": "temporarily_unavailable", "error_description": STORE_DOWN}),
        )
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// The target of "try again" on a page. Some of the gate's endpoints must not be
/// repeated.
fn retry_url<'a>(request: IncomingRequest<'a>, urls: &EndpointUrls) -> &'a str {
    if urls.own(request.parts.uri.path()) { "/" } else { request.target() }
}
