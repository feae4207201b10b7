//! What a handler reads from a request that the gate let through.
//!
//! Each type has a function on [`Extensions`], for hyper and tonic, and is an axum extractor
//! with the feature `axum`. A handler that no gate is in front of gets an error, never
//! an anonymous request.

use http::{Extensions, StatusCode};
use thiserror::Error;

use super::grant::Grant;
use crate::client::Client;
use crate::identity::{AccessToken, User};

/// Why a handler does not get what it asks for. As an axum rejection, it answers with
/// [`ExtractError::status`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ExtractError {
    /// No gate is in front of the handler: `Gate::layer` was not applied to its router.
    #[error("no huggate layer is in front of this handler: add `.layer(gate.layer())` to its router")]
    MissingLayer,
    /// Nobody is signed in, which only a public route permits.
    #[error("nobody is signed in")]
    NobodySignedIn,
}

impl ExtractError {
    /// 500 for a missing layer, 401 if nobody is signed in.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingLayer => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NobodySignedIn => StatusCode::UNAUTHORIZED,
        }
    }
}

impl Grant {
    /// The permission in a request's extensions.
    ///
    /// # Errors
    /// [`ExtractError::MissingLayer`], which is also logged.
    pub fn from_extensions(extensions: &Extensions) -> Result<&Self, ExtractError> {
        extensions.get::<Self>().ok_or_else(|| {
            tracing::error!("{}", ExtractError::MissingLayer);
            ExtractError::MissingLayer
        })
    }
}

impl User {
    /// The signed-in person in a request's extensions; `None` on a public route without a
    /// session.
    ///
    /// # Errors
    /// [`ExtractError::MissingLayer`], which is also logged.
    pub fn from_extensions(extensions: &Extensions) -> Result<Option<&Self>, ExtractError> {
        Grant::from_extensions(extensions).map(Grant::user)
    }
}

impl Client {
    /// The client in a request's extensions.
    ///
    /// # Errors
    /// [`ExtractError::MissingLayer`], which is also logged.
    pub fn from_extensions(extensions: &Extensions) -> Result<&Self, ExtractError> {
        Grant::from_extensions(extensions)?;
        extensions.get::<Self>().ok_or(ExtractError::MissingLayer)
    }
}

impl AccessToken {
    /// The person's access token for Hugging Face; `None` on a public route without a
    /// session.
    ///
    /// # Errors
    /// [`ExtractError::MissingLayer`], which is also logged.
    pub fn from_extensions(extensions: &Extensions) -> Result<Option<Self>, ExtractError> {
        Grant::from_extensions(extensions).map(Grant::access_token)
    }
}

#[cfg(feature = "axum")]
mod axum_extractors {
    use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
    use axum_core::response::{IntoResponse, Response};
    use http::request::Parts;

    use super::{AccessToken, Client, ExtractError, Grant, User};

    impl IntoResponse for ExtractError {
        fn into_response(self) -> Response {
            let text = match self {
                // The remedy is for the log, not for whoever asks.
                Self::MissingLayer => "huggate: the layer is missing in front of this handler",
                Self::NobodySignedIn => "nobody is signed in",
            };
            (self.status(), text).into_response()
        }
    }

    impl<S: Send + Sync> FromRequestParts<S> for Grant {
        type Rejection = ExtractError;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ExtractError> {
            Self::from_extensions(&parts.extensions).cloned()
        }
    }

    impl<S: Send + Sync> FromRequestParts<S> for Client {
        type Rejection = ExtractError;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ExtractError> {
            Self::from_extensions(&parts.extensions).cloned()
        }
    }

    impl<S: Send + Sync> FromRequestParts<S> for User {
        type Rejection = ExtractError;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ExtractError> {
            Self::from_extensions(&parts.extensions)?.cloned().ok_or(ExtractError::NobodySignedIn)
        }
    }

    impl<S: Send + Sync> OptionalFromRequestParts<S> for User {
        type Rejection = ExtractError;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, ExtractError> {
            Ok(Self::from_extensions(&parts.extensions)?.cloned())
        }
    }

    impl<S: Send + Sync> FromRequestParts<S> for AccessToken {
        type Rejection = ExtractError;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ExtractError> {
            Self::from_extensions(&parts.extensions)?.ok_or(ExtractError::NobodySignedIn)
        }
    }

    impl<S: Send + Sync> OptionalFromRequestParts<S> for AccessToken {
        type Rejection = ExtractError;

        async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, ExtractError> {
            Self::from_extensions(&parts.extensions)
        }
    }
}
