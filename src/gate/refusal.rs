//! Every "no" that a request can get.

use crate::authn::{AuthnError, SessionError, TokenError};
use crate::forward_auth::AmbiguousOriginal;
use crate::identity::{AuthMethod, TokenKind};
use crate::policy::{Ambiguity, BearerUse, Denial};

/// Why a request did not reach the app. It is left in the response's extensions
/// for logs and metrics, and so is the [`Client`](crate::Client) it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request does not name one host, or names one by a port that makes it
    /// another to some servers and not to others.
    NoHost,
    /// The target is no path: `*`, an authority, or something with a raw `#`.
    NoPath,
    /// The path can be read in several ways that would be decided differently.
    AmbiguousPath,
    /// The method is one of a route's but for capitals, which some servers overlook.
    AmbiguousMethod,
    /// Nobody is signed in.
    SignIn,
    /// Somebody is signed in, and it is not their place.
    Forbidden(Forbidden),
    /// A page of another site asked for a WebSocket.
    CrossOrigin,
    /// The session store cannot be asked.
    StoreUnavailable,
    /// The provider cannot be asked whether a session still counts, and its last
    /// word is too old.
    Unconfirmed {
        /// Seconds until it is asked again.
        retry_after: u64,
    },
    /// A proxy asks (forward auth) without saying unmistakably about what.
    ForwardAuth(AmbiguousOriginal),
    /// A proxy asks (forward auth) for a host where nobody can sign in.
    UnknownHost,
    /// `Authorization` cannot be read, or came twice.
    BadAuthorization(&'static str),
    /// Nobody has sent a token, and the route is for tokens alone.
    TokenNeeded,
    /// The token does not count.
    #[non_exhaustive]
    InvalidToken {
        /// Why.
        why: &'static str,
        /// Whether the route takes sessions as well.
        session_would_do: bool,
    },
    /// Whether the token counts cannot be found out now.
    #[non_exhaustive]
    TokenUnchecked {
        /// Why.
        why: &'static str,
        /// Another try may be worth it in so many seconds.
        retry_after: u64,
    },
}

/// Who was refused, and what would have helped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden {
    pub(super) denial: Box<Denial>,
    /// The kind of token they came with; `None` is a session.
    pub(super) token: Option<TokenKind>,
}

impl Forbidden {
    /// Who was refused.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.denial.username
    }

    /// How they showed who they are.
    #[must_use]
    pub fn auth_method(&self) -> AuthMethod {
        self.token.map_or(AuthMethod::Session, TokenKind::auth_method)
    }

    /// Who may enter, and what is in the way; or who may not.
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
    /// The refusal for an error of `authn`, at a route that takes tokens like this.
    pub(super) fn of_authn(error: &AuthnError, bearer_use: BearerUse) -> Self {
        match *error {
            AuthnError::Session(SessionError::StoreUnavailable) => Self::StoreUnavailable,
            AuthnError::Session(SessionError::Unconfirmed { retry_after }) => {
                Self::Unconfirmed { retry_after }
            }
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
            Self::SignIn => "login_required",
            Self::Forbidden(_) => "access_denied",
            Self::CrossOrigin => "cross_origin",
            Self::ForwardAuth(_) => "invalid_forward_auth",
            Self::UnknownHost => "unknown_host",
            Self::StoreUnavailable | Self::Unconfirmed { .. } | Self::TokenUnchecked { .. } => {
                "temporarily_unavailable"
            }
            // RFC 6750, section 3.1.
            Self::BadAuthorization(_) => "invalid_request",
            Self::InvalidToken { .. } => "invalid_token",
            Self::TokenNeeded => "token_required",
        }
    }
}
