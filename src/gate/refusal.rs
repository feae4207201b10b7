//! Why a request is refused.

use crate::authn::{AuthnError, SessionError, TokenError};
use crate::forward_auth::AmbiguousOriginal;
use crate::identity::{AuthMethod, TokenKind, User};
use crate::policy::{Ambiguity, BearerUse, Denial};

/// Why a request did not reach the app. The response carries it in its extensions, for
/// logs and metrics, together with the [`Client`](crate::Client).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request does not name exactly one host, or names a route's host with a port
    /// that is not configured, or a scheme other than http and https.
    NoHost,
    /// The target is not a path: `*`, an authority, or a target with a raw `#`.
    NoPath,
    /// Servers read the path in several ways, which would be decided differently.
    AmbiguousPath,
    /// The method equals a route's except for its case, which some servers ignore.
    AmbiguousMethod,
    /// A trusted proxy says that a page was opened over http, and the public URL is https.
    NotSecure,
    /// Nobody is signed in.
    SignIn,
    /// The person who is signed in may not enter.
    Forbidden(Forbidden),
    /// A page of another origin opened a WebSocket.
    CrossOrigin,
    /// The session store does not answer.
    StoreUnavailable,
    /// The provider does not answer, and its last answer about the session has expired.
    Unconfirmed {
        /// Seconds until it is asked again.
        retry_after: u64,
    },
    /// The rules changed, the session does not hold what they need, and the provider does
    /// not answer.
    #[non_exhaustive]
    NotHeld {
        /// Seconds until it is asked again.
        retry_after: u64,
    },
    /// Forward auth: the proxy does not describe exactly one request.
    ForwardAuth(AmbiguousOriginal),
    /// Forward auth: nobody can sign in at the host of the request.
    UnknownHost,
    /// `Authorization` is malformed, or repeated.
    BadAuthorization(&'static str),
    /// The route requires a token, and the request has none.
    TokenNeeded,
    /// The token is not valid.
    #[non_exhaustive]
    InvalidToken {
        /// Why.
        why: &'static str,
        /// Whether the route takes sessions as well.
        session_would_do: bool,
    },
    /// The token could not be verified.
    #[non_exhaustive]
    TokenUnchecked {
        /// Why.
        why: &'static str,
        /// Seconds after which the client may try again.
        retry_after: u64,
    },
}

/// A person who may not enter, and the reasons.
#[derive(Debug, Clone)]
pub struct Forbidden {
    pub(super) denial: Box<Denial>,
    /// The kind of token they came with; `None` is a session.
    pub(super) token: Option<TokenKind>,
    pub(super) user: User,
}

/// The reasons name the person.
impl PartialEq for Forbidden {
    fn eq(&self, other: &Self) -> bool {
        self.denial == other.denial && self.token == other.token
    }
}

impl Eq for Forbidden {}

impl Forbidden {
    /// The username.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.denial.username
    }

    /// The person.
    #[must_use]
    pub fn user(&self) -> &User {
        &self.user
    }

    /// How the person authenticated.
    #[must_use]
    pub fn auth_method(&self) -> AuthMethod {
        self.token.map_or(AuthMethod::Session, TokenKind::auth_method)
    }

    /// One sentence for each requirement of the rules, with what is missing.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        self.denial.sentences()
    }
}

impl From<Ambiguity> for Refusal {
    fn from(ambiguity: Ambiguity) -> Self {
        match ambiguity {
            Ambiguity::Path => Self::AmbiguousPath,
            Ambiguity::Host => Self::NoHost,
            Ambiguity::Method => Self::AmbiguousMethod,
        }
    }
}

impl Refusal {
    /// The refusal for an error of `authn`, at a route with this setting for tokens.
    pub(super) fn of_authn(error: &AuthnError, bearer_use: BearerUse) -> Self {
        match *error {
            AuthnError::Session(SessionError::StoreUnavailable) => Self::StoreUnavailable,
            AuthnError::Session(SessionError::Unconfirmed { retry_after }) => {
                Self::Unconfirmed { retry_after }
            }
            AuthnError::Session(SessionError::NotHeld { retry_after }) => Self::NotHeld { retry_after },
            AuthnError::MalformedAuthorization(why) => Self::BadAuthorization(why),
            AuthnError::Token(TokenError::Invalid(why)) => {
                Self::InvalidToken { why, session_would_do: bearer_use != BearerUse::Only }
            }
            AuthnError::Token(TokenError::Unchecked { retry_after, why }) => {
                Self::TokenUnchecked { why, retry_after }
            }
        }
    }

    /// The error code of the JSON answer, and of logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHost => "invalid_host",
            Self::NoPath => "invalid_target",
            Self::AmbiguousPath => "ambiguous_path",
            Self::AmbiguousMethod => "ambiguous_method",
            Self::NotSecure => "https_required",
            Self::SignIn => "login_required",
            Self::Forbidden(_) => "access_denied",
            Self::CrossOrigin => "cross_origin",
            Self::ForwardAuth(_) => "invalid_forward_auth",
            Self::UnknownHost => "unknown_host",
            Self::StoreUnavailable
            | Self::Unconfirmed { .. }
            | Self::NotHeld { .. }
            | Self::TokenUnchecked { .. } => "temporarily_unavailable",
            // RFC 6750, section 3.1.
            Self::BadAuthorization(_) => "invalid_request",
            Self::InvalidToken { .. } => "invalid_token",
            Self::TokenNeeded => "token_required",
        }
    }
}
