//! Where sessions are kept.
//!
//! With the cookie store the browser carries the whole session, sealed. A
//! server-side store keeps it here, and the cookie carries a sealed ticket.

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
    /// The sealed cookie is the session; nothing is kept here.
    #[default]
    Cookie,
    /// In this process's memory: sessions end with it.
    Memory,
}

/// A server-side store.
#[derive(Debug)]
pub(crate) enum Store {
    Memory(Memory),
}

impl Store {
    /// The store that is configured; `None` where the cookie holds the session.
    pub(crate) fn open(settings: StoreSettings) -> Option<Self> {
        match settings {
            StoreSettings::Cookie => None,
            StoreSettings::Memory => Some(Self::Memory(Memory::default())),
        }
    }

    /// Keeps `session` under its id until it ends at the latest.
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

    /// Replaces what is kept of `session`, if it is there still.
    pub(crate) async fn replace(&self, session: &Session) -> Result<(), StoreDown> {
        match self {
            Self::Memory(memory) => memory.replace(session),
        }
        Ok(())
    }

    /// The session of this id, if it is there and has not ended.
    pub(crate) async fn load(&self, id: SessionId, now: UnixTime) -> Result<Option<Session>, StoreDown> {
        match self {
            Self::Memory(memory) => Ok(memory.load(id, now)),
        }
    }

    /// Notes that the session was used.
    pub(crate) fn touch(&self, id: SessionId, now: UnixTime) {
        match self {
            Self::Memory(memory) => memory.touch(id, now),
        }
    }

    /// Forgets the session.
    pub(crate) async fn remove(&self, id: SessionId) -> Result<(), StoreDown> {
        match self {
            Self::Memory(memory) => memory.remove(id),
        }
        Ok(())
    }
}
