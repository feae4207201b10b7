//! Axum extractors: [`User`] and `Option<User>`.

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use super::user::User;

/// The request has no [`User`]: nobody is signed in, or the gate's layer does not wrap
/// this handler. The response is a plain 401.
#[derive(Debug)]
pub struct NobodySignedIn;

impl IntoResponse for NobodySignedIn {
    fn into_response(self) -> Response {
        (StatusCode::UNAUTHORIZED, "nobody is signed in").into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for User {
    type Rejection = NobodySignedIn;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(NobodySignedIn)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for User {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
