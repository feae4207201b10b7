//! Why it cannot be told who calls. Which answer that is, `gate` decides.

/// Why a token names nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// It is not valid, for this reason.
    Invalid(&'static str),
    /// Whether it is valid cannot be found out now, for this reason. Another try may
    /// succeed after so many seconds.
    Unchecked { retry_after: u64, why: &'static str },
}

/// Why it is unknown whether a session still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionError {
    /// The store does not answer.
    StoreUnavailable,
    /// The provider does not, and its last answer has expired.
    Unconfirmed {
        /// Seconds until it is asked again.
        retry_after: u64,
    },
}

/// Why it cannot be told who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuthnError {
    Session(SessionError),
    Token(TokenError),
    /// `Authorization` cannot be parsed, or came twice.
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
