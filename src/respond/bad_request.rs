//! 400 and its like: the request can be understood in more than one way, or not at
//! all.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::answer;
use crate::client::IncomingRequest;
use crate::pages;

pub(crate) const NO_HOST: &str =
    "The request does not name exactly one host, or names it with a port that is not in use here.";
pub(crate) const NO_PATH: &str = "The address of the request is not a path.";
pub(crate) const AMBIGUOUS_PATH: &str = "The path of this address can be read in more than one way, and not every way is open to everybody. Write it as the app does: in the same upper and lower case, with or without a slash at the end, and without dot segments, doubled slashes, backslashes, semicolons and encoded letters.";
pub(crate) const AMBIGUOUS_METHOD: &str = "The method of the request has small letters, and with capitals it would not be open to everybody. Write it in capitals.";

/// 400: a page for people, JSON for programs.
pub(crate) fn bad_request(request: IncomingRequest<'_>, code: &str, cause: &str) -> Response<Bytes> {
    if request.wants_page() {
        return answer::page(StatusCode::BAD_REQUEST, pages::bad_request(cause));
    }
    answer::json(StatusCode::BAD_REQUEST, &json!({"error": code, "error_description": cause}))
}

/// 403: a page of another site opened a WebSocket.
pub(crate) fn cross_origin(code: &str) -> Response<Bytes> {
    answer::json(
        StatusCode::FORBIDDEN,
        &json!({
            "error": code,
            "error_description": "A page of another site asked for this WebSocket (its Origin is not this app's).",
        }),
    )
}

/// 404 below our prefix.
pub(crate) fn no_such_endpoint(request: IncomingRequest<'_>, prefix: &str) -> Response<Bytes> {
    if request.wants_page() {
        return answer::page(StatusCode::NOT_FOUND, pages::not_found());
    }
    let description = format!("There is no endpoint of this name below {prefix}.");
    answer::json(StatusCode::NOT_FOUND, &json!({"error": "not_found", "error_description": description}))
}
