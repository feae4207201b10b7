//! Errors of the token, device and registration endpoints (RFC 6749, section 5.2).

use axum::Json;
use axum::http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An OAuth error response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OAuthError {
    /// The HTTP status.
    pub(super) status: u16,
    /// The `error` code.
    pub(super) error: &'static str,
    /// The `error_description`.
    pub(super) description: String,
}

impl OAuthError {
    /// An error with status 400.
    pub(super) fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { status: 400, error, description: description.into() }
    }

    /// The request is malformed.
    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }

    /// The code or token is invalid, expired or used.
    pub(super) fn invalid_grant(description: impl Into<String>) -> Self {
        Self::new("invalid_grant", description)
    }

    /// Client authentication failed.
    pub(super) fn invalid_client(status: u16, description: impl Into<String>) -> Self {
        Self { status, ..Self::new("invalid_client", description) }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        let body = Json(json!({"error": self.error, "error_description": self.description}));
        let mut response = (status, [(CACHE_CONTROL, "no-store")], body).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"oauth\""));
        }
        response
    }
}
