//! Who calls: a session cookie, or nobody.

use std::sync::Arc;

use http::HeaderMap;

use super::refusal::Refusal;
use crate::identity::Introduction;
use crate::session::{Found, Opened, Sessions};

/// Who calls.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// No session, or nothing that is one.
    Nobody,
    /// Somebody with a session in force.
    Session(Arc<Opened>),
}

impl Caller {
    /// What the app is told of them.
    pub(super) fn introduction(&self) -> Option<&Introduction> {
        match self {
            Self::Nobody => None,
            Self::Session(opened) => Some(opened.introduction()),
        }
    }

    /// The session, if that is how they are known.
    pub(super) fn session(&self) -> Option<&Arc<Opened>> {
        match self {
            Self::Nobody => None,
            Self::Session(opened) => Some(opened),
        }
    }
}

/// Finds out. Garbage is nobody; a store that cannot be asked is neither.
pub(super) async fn authenticate(sessions: &Sessions, headers: &HeaderMap) -> Result<Caller, Refusal> {
    match sessions.open(headers).await {
        Found::Nobody => Ok(Caller::Nobody),
        Found::Session(opened) => Ok(Caller::Session(opened)),
        Found::Unknown(_) => Err(Refusal::StoreUnavailable),
    }
}
