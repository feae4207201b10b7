//! A session's content, as it is sealed into a cookie or kept in a store.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::identity::{Person, Tokens};

/// Names a session; new at each sign-in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct SessionId(pub(super) [u8; 16]);

impl From<[u8; 16]> for SessionId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SessionId {
    /// With a ticket's id alone nobody gets in, but it has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// A session, as it is sealed or stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) person: Person,
    pub(crate) began: UnixTime,
    pub(crate) seen: UnixTime,
    /// When the provider last said who this is.
    pub(crate) checked: UnixTime,
    /// By which it can be asked again.
    pub(crate) tokens: Tokens,
}

/// Tells two states of a session apart: when it was checked, and when its access
/// token expires.
pub(super) type SnapshotVersion = (UnixTime, Option<UnixTime>);

impl Session {
    pub(super) fn version(&self) -> SnapshotVersion {
        (self.checked, self.tokens.expires)
    }

    /// This session with what is newer in `other`, if anything is: another process
    /// may have asked the provider, or refreshed the tokens.
    pub(super) fn with_newer_of(&self, other: &Self) -> Option<Self> {
        let (checked, refreshed) = (other.checked > self.checked, other.tokens.expires > self.tokens.expires);
        if !checked && !refreshed {
            return None;
        }
        let mut merged = if checked { other.clone() } else { self.clone() };
        merged.tokens = if refreshed { other.tokens.clone() } else { self.tokens.clone() };
        Some(merged)
    }
}
