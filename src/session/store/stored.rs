//! What a store keeps of a session, and what it answers.

use bytes::Bytes;

use super::error::StoreError;
use super::identifier::{OwnerKey, Revision, SessionKey};
use crate::clock::UnixTime;

/// What a store keeps of a session. Everything about a person is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// The person, for [`SessionStore::list`](super::SessionStore::list). It changes with an
    /// update after the session secret was rotated.
    pub owner: OwnerKey,
    /// The session, under a key that only the browser's cookie and the session secret
    /// together give. At most [`SessionRecord::MAX_SEALED`] bytes.
    pub sealed: Bytes,
    /// What a list of sessions shows, under the session secret alone. At most
    /// [`SessionRecord::MAX_SUMMARY`] bytes.
    pub summary: Bytes,
    /// When the session was last used, in seconds since 1970. It only grows.
    pub last_used: UnixTime,
    /// From when on the store has no such session, in seconds since 1970. It only grows.
    pub expires: UnixTime,
}

impl SessionRecord {
    /// The maximum length of [`SessionRecord::sealed`]. A usual record has below 4 kB.
    pub const MAX_SEALED: usize = 256 * 1024;
    /// The maximum length of [`SessionRecord::summary`].
    pub const MAX_SUMMARY: usize = 2 * 1024;

    /// A record of these parts.
    #[must_use]
    pub fn new(
        owner: OwnerKey,
        sealed: Bytes,
        summary: Bytes,
        last_used: UnixTime,
        expires: UnixTime,
    ) -> Self {
        Self { owner, sealed, summary, last_used, expires }
    }

    /// This record in place of `before`: what only grows does not shrink.
    #[must_use]
    pub fn replacing(self, before: &Self) -> Self {
        let last_used = self.last_used.max(before.last_used);
        let expires = self.expires.max(before.expires);
        Self { last_used, expires, ..self }
    }
}

/// A record as a store has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredSession {
    /// The state that the record is in.
    pub revision: Revision,
    /// The record.
    pub record: SessionRecord,
}

impl StoredSession {
    /// A record in this state.
    #[must_use]
    pub fn new(revision: Revision, record: SessionRecord) -> Self {
        Self { revision, record }
    }
}

/// The answer to an update.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Update {
    /// The record is stored, in the revision after the expected one.
    Done,
    /// The session is in another revision than the expected one, and stays in it.
    Changed(StoredSession),
    /// There is no such session (any more).
    Ended,
}

/// Some of the sessions of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Page {
    /// The sessions, in an order of the store's own.
    pub sessions: Vec<(SessionKey, StoredSession)>,
    /// Where the next page begins; `None` if this is the last one.
    pub next: Option<Cursor>,
}

impl Page {
    /// A page of these sessions.
    #[must_use]
    pub fn new(sessions: Vec<(SessionKey, StoredSession)>, next: Option<Cursor>) -> Self {
        Self { sessions, next }
    }
}

/// Where a page begins. Only the store that made it knows what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Bytes);

impl Cursor {
    /// A cursor of these bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The session that the page before ended with, where a store lists by key.
    pub(super) fn session_key(&self) -> Result<SessionKey, StoreError> {
        let key = <[u8; 16]>::try_from(self.as_bytes());
        key.map(SessionKey::from_bytes).map_err(|_| StoreError::refused("the cursor is of another store"))
    }
}
