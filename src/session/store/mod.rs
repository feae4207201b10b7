//! Session stores.
//!
//! With the cookie store, the cookie contains the whole session, encrypted. With a
//! server-side store, the session is kept here and the cookie contains an encrypted
//! ticket.

mod error;
mod memory;

use crate::clock::UnixTime;
use crate::session::record::{Session, SessionId};

pub(crate) use error::StoreDown;
use memory::Memory;

/// Which store to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StoreSettings {
    /// The encrypted cookie contains the session; nothing is kept here.
    #[default]
    Cookie,
    /// In the memory of this process: a restart ends all sessions.
    Memory,
}

/// A server-side store.
#[derive(Debug)]
pub(crate) enum Store {
    Memory(Memory),
}

impl Store {
    /// Opens the configured store; `None` if the cookie contains the session.
    pub(crate) fn open(settings: StoreSettings) -> Option<Self> {
        match settings {
            StoreSettings::Cookie => None,
            StoreSettings::Memory => Some(Self::Memory(Memory::default())),
        }
    }

    /// Saves `session` under its id until it expires.
    pub(crate) async fn save(
        &self,
        session: &Session,
        ends: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreDown> {
        match self {
            Self::Memory(memory) => memory.save(session, ends, now),
        }
    }

    /// Replaces the stored `session`, if it still exists.
    pub(crate) async fn replace(&self, session: &Session) -> Result<(), StoreDown> {
        match self {
            Self::Memory(memory) => memory.replace(session),
        }
        Ok(())
    }

    /// The session with this id, if it exists and has not ended.
    pub(crate) async fn load(&self, id: SessionId, now: UnixTime) -> Result<Option<Session>, StoreDown> {
        match self {
            Self::Memory(memory) => Ok(memory.load(id, now)),
        }
    }

    /// Records that the session was used.
    pub(crate) fn touch(&self, id: SessionId, now: UnixTime) {
        match self {
            Self::Memory(memory) => memory.touch(id, now),
        }
    }

    /// Removes the session.
    pub(crate) async fn remove(&self, id: SessionId) -> Result<(), StoreDown> {
        match self {
            Self::Memory(memory) => memory.remove(id),
        }
        Ok(())
    }
}
