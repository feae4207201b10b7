//! How a request was authenticated.

use serde::{Deserialize, Serialize};

/// How a request was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuthMethod {
    /// By the session cookie.
    Session,
    /// By a user access token (`hf_…`) in `Authorization`.
    AccessToken,
    /// By a token that an OAuth app received for the person (`hf_oauth_…`).
    #[serde(rename = "oauth")]
    OAuth,
    /// By an app's own token (`hf_app_…`): see `app_tokens`.
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
    /// A user access token, with any role.
    Access {
        /// Limited to the permissions that its owner selected, including organisations.
        fine_grained: bool,
    },
    /// A token that an OAuth app received for a person.
    OAuth,
    /// An app's own token, or one with which an app acts for a person.
    App,
}

impl TokenKind {
    /// The authentication method that the app sees.
    pub(crate) fn auth_method(self) -> AuthMethod {
        match self {
            Self::Access { .. } => AuthMethod::AccessToken,
            Self::OAuth => AuthMethod::OAuth,
            Self::App => AuthMethod::AppToken,
        }
    }
}
