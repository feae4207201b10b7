//! Authentication errors. `gate` decides which answers they become.

/// Why a token does not authenticate anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// It is invalid, for this reason.
    Invalid(&'static str),
    /// Its validity cannot be checked now, for this reason. The client may retry after
    /// this many seconds.
    Unchecked { retry_after: u64, why: &'static str },
}

/// Why it is unknown whether a session is still valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// The store does not answer.
    StoreUnavailable,
    /// The provider does not answer, and its last answer has expired.
    Unconfirmed {
        /// Seconds until the next request to the provider.
        retry_after: u64,
    },
    /// The rules need what the session does not hold, and the provider does not answer.
    NotHeld {
        /// Seconds until the next request to the provider.
        retry_after: u64,
    },
}

/// Why a request cannot be authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuthnError {
    Session(SessionError),
    Token(TokenError),
    /// `Authorization` is malformed or repeated.
    MalformedAuthorization(&'static str),
}

impl From<SessionError> for AuthnError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<TokenError> for AuthnError {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}
