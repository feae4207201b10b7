//! Sessions in the memory of this process.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::contract::SessionStore;
use super::error::StoreError;
use super::identifier::{OwnerKey, Revision, SessionKey};
use super::notice::{Notice, Notices};
use super::stored::{Cursor, Page, SessionRecord, StoredSession, Update};
use crate::clock::UnixTime;

/// The maximum number of sessions; beyond it, a sign-in is answered as if the store were
/// down. About 400 MB.
const CAPACITY: usize = 100_000;
/// The number of sessions begun between two sweeps for expired ones.
const SWEEP: usize = 1_000;
/// The number of sessions in a page.
const PAGE: usize = 100;
/// The number of notices that a watcher may be behind.
const NOTICES: usize = 1_024;

/// A store in the memory of this process, which ends with it. Clones are the same store, so
/// that several gates of one process can share it.
///
/// It holds 100,000 sessions; then no more begin until some end or expire.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    kept: Arc<Mutex<Kept>>,
    notices: broadcast::Sender<Notice>,
}

#[derive(Debug, Default)]
struct Kept {
    sessions: BTreeMap<SessionKey, StoredSession>,
    owners: BTreeSet<(OwnerKey, SessionKey)>,
    begun: usize,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self { kept: Arc::default(), notices: broadcast::Sender::new(NOTICES) }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic while the lock was held leaves an owner without a session at worst, which a
    /// list skips.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, notice: Notice) {
        // An error says that nobody watches.
        let _ = self.notices.send(notice);
    }
}

impl Kept {
    fn sweep(&mut self, now: UnixTime) {
        let Self { sessions, owners, .. } = self;
        sessions.retain(|key, stored| {
            let stays = stored.record.expires > now;
            if !stays {
                owners.remove(&(stored.record.owner, *key));
            }
            stays
        });
    }

    fn get(&mut self, key: SessionKey, now: UnixTime) -> Option<&mut StoredSession> {
        self.sessions.get_mut(&key).filter(|stored| stored.record.expires > now)
    }

    fn remove(&mut self, key: SessionKey) -> bool {
        let Some(stored) = self.sessions.remove(&key) else { return false };
        self.owners.remove(&(stored.record.owner, key));
        true
    }

    /// The keys after `after`, one more than a page has.
    fn keys(&self, of: Option<OwnerKey>, after: Option<SessionKey>) -> Vec<SessionKey> {
        match of {
            None => {
                let from = after.map_or(Bound::Unbounded, Bound::Excluded);
                self.sessions.range((from, Bound::Unbounded)).map(|(key, _)| *key).take(PAGE + 1).collect()
            }
            Some(owner) => {
                let from = after.map_or(Bound::Included((owner, SessionKey::from_bytes([0; 16]))), |key| {
                    Bound::Excluded((owner, key))
                });
                let to = Bound::Included((owner, SessionKey::from_bytes([0xff; 16])));
                self.owners.range((from, to)).map(|(_, key)| *key).take(PAGE + 1).collect()
            }
        }
    }
}

impl SessionStore for MemoryStore {
    async fn create(&self, key: SessionKey, record: SessionRecord, now: UnixTime) -> Result<(), StoreError> {
        let mut kept = self.lock();
        kept.begun += 1;
        if kept.begun.is_multiple_of(SWEEP) || kept.sessions.len() >= CAPACITY {
            kept.sweep(now);
        }
        if kept.get(key, now).is_some() {
            return Err(StoreError::refused("the session exists already"));
        }
        if kept.sessions.len() >= CAPACITY {
            return Err(StoreError::refused("the memory for sessions is full"));
        }
        kept.remove(key);
        kept.owners.insert((record.owner, key));
        kept.sessions.insert(key, StoredSession::new(Revision::FIRST, record));
        Ok(())
    }

    async fn load(&self, key: SessionKey, now: UnixTime) -> Result<Option<StoredSession>, StoreError> {
        Ok(self.lock().get(key, now).cloned())
    }

    async fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> Result<Update, StoreError> {
        let mut kept = self.lock();
        let Some(stored) = kept.get(key, now) else { return Ok(Update::Ended) };
        if stored.revision != expected {
            return Ok(Update::Changed(stored.clone()));
        }
        let (former, owner) = (stored.record.owner, record.owner);
        *stored = StoredSession::new(expected.next(), record.replacing(&stored.record));
        kept.owners.remove(&(former, key));
        kept.owners.insert((owner, key));
        self.tell(Notice::Changed(key, expected.next()));
        Ok(Update::Done)
    }

    async fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        if let Some(StoredSession { record, .. }) = self.lock().get(key, now) {
            record.last_used = record.last_used.max(last_used);
            record.expires = record.expires.max(expires);
        }
        Ok(())
    }

    async fn end(&self, key: SessionKey) -> Result<bool, StoreError> {
        let ended = self.lock().remove(key);
        if ended {
            self.tell(Notice::Ended(key));
        }
        Ok(ended)
    }

    async fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> Result<Page, StoreError> {
        let after = after.as_ref().map(Cursor::session_key).transpose()?;
        let mut kept = self.lock();
        let mut keys = kept.keys(of, after);
        let is_last = keys.len() <= PAGE;
        keys.truncate(PAGE);
        let next = keys.last().filter(|_| !is_last).map(|key| Cursor::new(key.as_bytes().to_vec()));
        let sessions = keys.iter().filter_map(|key| Some((*key, kept.get(*key, now)?.clone()))).collect();
        Ok(Page::new(sessions, next))
    }

    async fn watch(&self, notices: Notices) -> StoreError {
        let mut told = self.notices.subscribe();
        notices.missed();
        loop {
            match told.recv().await {
                Ok(Notice::Ended(key)) => notices.ended(key),
                Ok(Notice::Changed(key, revision)) => notices.changed(key, revision),
                Ok(Notice::Missed) | Err(RecvError::Lagged(_)) => notices.missed(),
                Err(RecvError::Closed) => return StoreError::unavailable("the store was dropped"),
            }
        }
    }
}
