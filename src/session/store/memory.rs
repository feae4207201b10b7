//! Sessions in the memory of this process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::error::StoreDown;
use crate::clock::UnixTime;
use crate::session::record::{Session, SessionId};

/// The maximum number of sessions; beyond it, a sign-in is answered as if the store were
/// down. About 100 MB.
const CAPACITY: usize = 100_000;
/// The number of insertions between two sweeps for ended sessions.
const SWEEP: usize = 1_000;

/// The sessions, and when to sweep them.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    sessions: HashMap<SessionId, (Session, UnixTime)>,
    begun: usize,
}

impl Memory {
    pub(super) fn save(&self, session: &Session, ends: UnixTime, now: UnixTime) -> Result<(), StoreDown> {
        let mut kept = self.lock();
        kept.begun += 1;
        if kept.begun.is_multiple_of(SWEEP) || kept.sessions.len() >= CAPACITY {
            kept.sessions.retain(|_, (_, ends)| *ends > now);
        }
        if kept.sessions.len() >= CAPACITY && !kept.sessions.contains_key(&session.id) {
            return Err(StoreDown);
        }
        kept.sessions.insert(session.id, (session.clone(), ends));
        Ok(())
    }

    pub(super) fn replace(&self, session: &Session) {
        if let Some((kept, _)) = self.lock().sessions.get_mut(&session.id) {
            let seen = kept.seen.max(session.seen);
            *kept = Session { seen, ..session.clone() };
        }
    }

    pub(super) fn load(&self, id: SessionId, now: UnixTime) -> Option<Session> {
        let kept = self.lock();
        kept.sessions.get(&id).filter(|(_, ends)| *ends > now).map(|(session, _)| session.clone())
    }

    pub(super) fn touch(&self, id: SessionId, now: UnixTime) {
        if let Some((session, _)) = self.lock().sessions.get_mut(&id) {
            session.seen = session.seen.max(now);
        }
    }

    pub(super) fn remove(&self, id: SessionId) {
        self.lock().sessions.remove(&id);
    }

    /// A panic while the lock was held leaves the map consistent: every change is a
    /// single call of the map.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
