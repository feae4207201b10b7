//! What is said while something cannot be asked: nobody is signed out by that.

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use serde_json::json;

use super::answer;
use crate::authn::Unconfirmed;
use crate::oauth2::{Ask, OAuth2};
use crate::pages;
use crate::provider::DiscoveryError;
use crate::session::StoreDown;

impl OAuth2 {
    /// 503: the provider cannot be asked now.
    pub(crate) fn provider_unavailable(&self, ask: Ask<'_>, error: &DiscoveryError) -> Response<Bytes> {
        let status =
            if error.is_transient() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::BAD_GATEWAY };
        let mut response = if ask.wants_page() {
            let cause = format!("What went wrong: {error}.");
            let retry = if self.endpoint(ask.parts.uri.path()).is_some() { "/" } else { ask.target() };
            answer::page(status, pages::provider_unavailable(&cause, retry))
        } else {
            answer::json(
                status,
                &json!({"error": "temporarily_unavailable", "error_description": format!("Hugging Face cannot be asked: {error}.")}),
            )
        };
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        response
    }

    /// 503: it cannot be told whether the session still counts. The cookie stays.
    pub(crate) fn unconfirmed(&self, ask: Ask<'_>, unconfirmed: Unconfirmed) -> Response<Bytes> {
        let retry_after = match unconfirmed {
            Unconfirmed::Store(down) => return store_unavailable(ask, down),
            Unconfirmed::Provider { retry_after } => retry_after,
        };
        const CAUSE: &str = "Hugging Face cannot be asked at the moment whether you still may enter, and its last answer is too old";
        let mut response = if ask.wants_page() {
            let retry = if self.endpoint(ask.parts.uri.path()).is_some() { "/" } else { ask.target() };
            answer::page(
                StatusCode::SERVICE_UNAVAILABLE,
                pages::provider_unavailable(&format!("{CAUSE}. You are still signed in."), retry),
            )
        } else {
            answer::json(
                StatusCode::SERVICE_UNAVAILABLE,
                &json!({"error": "temporarily_unavailable", "error_description": format!("{CAUSE}. Nobody is signed out by this; try again.")}),
            )
        };
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after.max(1)));
        response
    }
}

/// 503: the session may be good, but the store cannot tell. The cookie stays.
pub(crate) fn store_unavailable(ask: Ask<'_>, down: StoreDown) -> Response<Bytes> {
    tracing::error!(error = %down, "a session could not be looked up");
    let mut response = if ask.wants_page() {
        answer::page(StatusCode::SERVICE_UNAVAILABLE, pages::internal_error())
    } else {
        answer::json(
            StatusCode::SERVICE_UNAVAILABLE,
            &json!({"error": "temporarily_unavailable", "error_description": "The session store does not answer. Nobody is signed out by this; try again."}),
        )
    };
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}
