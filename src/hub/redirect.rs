//! Redirects of browsers.

use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use super::pages;

/// A 303, perhaps with a cookie.
pub(super) fn see_other(to: &str, cookie: Option<HeaderValue>) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else {
        let why = "The address to go back to, or the state, holds what cannot stand in a header.";
        return pages::notice(StatusCode::BAD_REQUEST, "This request is not right", why);
    };
    let response =
        (StatusCode::SEE_OTHER, [(LOCATION, location)], [(CACHE_CONTROL, "no-store")]).into_response();
    with_cookie(response, cookie)
}

/// Adds the cookie that says who is signed in.
pub(super) fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
