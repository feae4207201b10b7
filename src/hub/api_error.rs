//! Errors as the API writes them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The 401 of the API: for bad credentials, or for none.
pub(super) fn unauthorized(given: bool) -> Response {
    let why = if given { "Invalid credentials in Authorization header" } else { "Unauthorized" };
    error(StatusCode::UNAUTHORIZED, why)
}

/// An error as the API writes it: in the body and in a header.
pub(super) fn error(status: StatusCode, why: &'static str) -> Response {
    (status, [("x-error-message", why)], Json(json!({"error": why}))).into_response()
}
