//! How somebody showed who they are.

use serde::{Deserialize, Serialize};

/// How somebody showed who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuthMethod {
    /// By the session cookie.
    Session,
    /// By a user access token (`hf_…`) in `Authorization`.
    AccessToken,
    /// By a token that an OAuth app got for the person (`hf_oauth_…`).
    #[serde(rename = "oauth")]
    OAuth,
    /// By an app's token (`hf_app_…`): see `app_tokens`.
    AppToken,
}

impl AuthMethod {
    /// The value of the assertion's `auth_method` claim.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::AccessToken => "access_token",
            Self::OAuth => "oauth",
            Self::AppToken => "app_token",
        }
    }
}

/// The kind of a token, as the provider reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A user access token, of whatever role.
    Access {
        /// Limited to what its owner ticked, organisations included.
        fine_grained: bool,
    },
    /// One that an OAuth app got for a person.
    OAuth,
    /// An app's own, or one with which an app speaks for a person.
    App,
}

impl TokenKind {
    /// What the app is told of it.
    pub(crate) fn auth_method(self) -> AuthMethod {
        match self {
            Self::Access { .. } => AuthMethod::AccessToken,
            Self::OAuth => AuthMethod::OAuth,
            Self::App => AuthMethod::AppToken,
        }
    }
}
