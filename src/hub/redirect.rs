//! Redirect responses.

use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::pages;

/// A 303, with a cookie if there is one.
pub(super) fn see_other(to: &str, cookie: Option<HeaderValue>) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else {
        let why = "The redirect URI or the state contains characters that are not valid in a header.";
        return pages::notice(StatusCode::BAD_REQUEST, "Invalid authorization request", why);
    };
    let response =
        (StatusCode::SEE_OTHER, [(LOCATION, location)], [(CACHE_CONTROL, "no-store")]).into_response();
    with_cookie(response, cookie)
}

/// Adds a `Set-Cookie` header if there is a cookie.
pub(super) fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
