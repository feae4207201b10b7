//! 400 and similar: the request is ambiguous or malformed.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::answer;
use crate::client::IncomingRequest;
use crate::pages;

pub(crate) const NO_HOST: &str = "The request does not name exactly one host, or uses a port that is not configured here, or a scheme other than http and https.";
pub(crate) const NO_PATH: &str = "The request target is not a path.";
pub(crate) const AMBIGUOUS_PATH: &str = "Servers interpret the path of this URL in different ways, and the access rules differ between them. Write it as the app does: with the same upper and lower case, with or without the trailing slash, and without dot segments, double slashes, backslashes, semicolons and encoded letters.";
pub(crate) const AMBIGUOUS_METHOD: &str = "The request method has lower-case letters, and other access rules apply to the method in upper case. Send it in upper case.";

/// 400: a page for people, JSON for programs.
pub(crate) fn bad_request(request: IncomingRequest<'_>, code: &str, cause: &str) -> Response<Bytes> {
    if request.wants_page() {
        return answer::error_page(StatusCode::BAD_REQUEST, code, cause, pages::bad_request(cause));
    }
    answer::json(StatusCode::BAD_REQUEST, &json!({"error": code, "error_description": cause}))
}

/// 403: a page of another site opened a WebSocket.
pub(crate) fn cross_origin(code: &str) -> Response<Bytes> {
    answer::json(
        StatusCode::FORBIDDEN,
        &json!({
            "error": code,
            "error_description": "A page of another site opened this WebSocket (its Origin is not this app's).",
        }),
    )
}

/// 404 below the gate's prefix.
pub(crate) fn no_such_endpoint(request: IncomingRequest<'_>, prefix: &str) -> Response<Bytes> {
    let description = format!("There is no endpoint with this name below {prefix}.");
    if request.wants_page() {
        return answer::error_page(StatusCode::NOT_FOUND, "not_found", &description, pages::not_found());
    }
    answer::json(StatusCode::NOT_FOUND, &json!({"error": "not_found", "error_description": description}))
}
