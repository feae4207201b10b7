//! Who calls: a session cookie, or nobody.

use std::sync::Arc;

use http::HeaderMap;

use super::refusal::Refusal;
use crate::identity::Introduction;
use crate::oauth2::OAuth2;
use crate::session::Current;

/// Who calls.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// No session, or nothing that is one.
    Nobody,
    /// Somebody with a session in force.
    Session(Current),
}

impl Caller {
    /// What the app is told of them.
    pub(super) fn introduction(&self) -> Option<&Introduction> {
        match self {
            Self::Nobody => None,
            Self::Session(session) => Some(session.introduction()),
        }
    }

    /// The session, if that is how they are known.
    pub(super) fn session(&self) -> Option<&Current> {
        match self {
            Self::Nobody => None,
            Self::Session(session) => Some(session),
        }
    }
}

/// Finds out. Garbage is nobody; what cannot be told for now is neither.
pub(super) async fn authenticate(oauth2: &Arc<OAuth2>, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let session = oauth2.session(headers).await.map_err(Refusal::from)?;
    Ok(session.map_or(Caller::Nobody, Caller::Session))
}
