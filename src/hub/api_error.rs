//! Error responses of the API endpoints.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// 401 of the API: with or without credentials in the request.
pub(super) fn unauthorized(given: bool) -> Response {
    let why = if given { "Invalid credentials in Authorization header" } else { "Unauthorized" };
    error(StatusCode::UNAUTHORIZED, why)
}

/// An API error: the same message in the JSON body and in `x-error-message`.
pub(super) fn error(status: StatusCode, why: &'static str) -> Response {
    (status, [("x-error-message", why)], Json(json!({"error": why}))).into_response()
}
