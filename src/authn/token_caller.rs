//! A caller that authenticated with a token.

use std::fmt;
use std::sync::Arc;

use crate::clock::UnixTime;
use crate::identity::{RenderedIdentity, TokenKind};
use crate::keys::SecretString;

/// The owner of a token, according to an answer of the provider that is still valid.
pub(super) struct VerifiedToken {
    pub(super) identity: RenderedIdentity,
    pub(super) kind: TokenKind,
    /// When the answer expires.
    pub(super) until: UnixTime,
}

/// A caller with a valid token.
pub(crate) struct TokenCaller {
    pub(super) verified: Arc<VerifiedToken>,
    /// The request's token. It is stored nowhere else and dropped with the request.
    pub(super) token: SecretString,
}

impl TokenCaller {
    /// The identity that the app receives.
    pub(crate) fn identity(&self) -> &RenderedIdentity {
        &self.verified.identity
    }

    /// The token itself.
    pub(crate) fn token(&self) -> &SecretString {
        &self.token
    }

    /// The kind of the token.
    pub(crate) fn kind(&self) -> TokenKind {
        self.verified.kind
    }
}

impl fmt::Debug for VerifiedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedToken")
            .field("identity", &self.identity)
            .field("kind", &self.kind)
            .field("until", &self.until)
            .finish()
    }
}

impl fmt::Debug for TokenCaller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCaller").field("verified", &self.verified).finish_non_exhaustive()
    }
}
