//! The caller: a session, a token, or nobody.

use std::sync::Arc;

use super::token_caller::TokenCaller;
use crate::identity::{RenderedIdentity, TokenKind};
use crate::session::ActiveSession;

/// The caller of a request.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    /// No session and no token.
    Nobody,
    /// A person with a valid session.
    Session(ActiveSession),
    /// The owner of a valid token.
    Token(Arc<TokenCaller>),
}

impl Caller {
    /// The identity that the app receives.
    pub(crate) fn identity(&self) -> Option<&RenderedIdentity> {
        match self {
            Self::Nobody => None,
            Self::Session(session) => Some(session.identity()),
            Self::Token(caller) => Some(caller.identity()),
        }
    }

    /// The kind of token, if the caller authenticated with one.
    pub(crate) fn token(&self) -> Option<TokenKind> {
        match self {
            Self::Nobody | Self::Session(_) => None,
            Self::Token(caller) => Some(caller.kind()),
        }
    }

    /// The session, if the caller authenticated with one.
    pub(crate) fn session(&self) -> Option<&ActiveSession> {
        match self {
            Self::Nobody | Self::Token(_) => None,
            Self::Session(session) => Some(session),
        }
    }
}
