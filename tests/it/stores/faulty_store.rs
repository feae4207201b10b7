//! A store that misbehaves as a test says.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use huggate::clock::UnixTime;
use huggate::store::{
    Cursor, MemoryStore, Notices, OwnerKey, Page, Revision, SessionKey, SessionRecord, SessionStore,
    StoreError, StoredSession, Update,
};

/// How calls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Mode {
    #[default]
    Up,
    /// Every call fails at once.
    Down,
    /// No call comes back.
    Hanging,
    /// Updates are refused.
    ReadOnly,
}

/// A store in memory that replicas share; clones are the same store.
#[derive(Clone, Default)]
pub(super) struct FaultyStore {
    pub(super) memory: MemoryStore,
    shared: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    mode: Mutex<Mode>,
    /// Notices are lost.
    is_deaf: AtomicBool,
    calls: AtomicUsize,
    loads: AtomicUsize,
    /// `load` gives the record of the other one.
    swapped: Mutex<Option<(SessionKey, SessionKey)>>,
    keys: Mutex<Vec<SessionKey>>,
}

impl FaultyStore {
    pub(super) fn set(&self, mode: Mode) {
        *self.shared.mode.lock().unwrap() = mode;
    }

    pub(super) fn lose_notices(&self) {
        self.shared.is_deaf.store(true, Ordering::SeqCst);
    }

    pub(super) fn swap(&self, one: SessionKey, other: SessionKey) {
        *self.shared.swapped.lock().unwrap() = Some((one, other));
    }

    /// The number of calls about sessions that were created.
    pub(super) fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// The number of those that loaded one.
    pub(super) fn loads(&self) -> usize {
        self.shared.loads.load(Ordering::SeqCst)
    }

    /// The sessions that were created, in order.
    pub(super) fn keys(&self) -> Vec<SessionKey> {
        self.shared.keys.lock().unwrap().clone()
    }

    /// A session as it is, whatever the faults.
    pub(super) async fn peek(&self, key: SessionKey) -> Option<StoredSession> {
        self.memory.load(key, 0).await.unwrap()
    }

    async fn pass(&self, key: Option<SessionKey>) -> Result<(), StoreError> {
        if key.is_none_or(|key| self.keys().contains(&key)) {
            self.shared.calls.fetch_add(1, Ordering::SeqCst);
        }
        let mode = *self.shared.mode.lock().unwrap();
        match mode {
            Mode::Up | Mode::ReadOnly => Ok(()),
            Mode::Down => Err(StoreError::unavailable("the test says so")),
            Mode::Hanging => std::future::pending().await,
        }
    }
}

impl SessionStore for FaultyStore {
    async fn create(&self, key: SessionKey, record: SessionRecord, now: UnixTime) -> Result<(), StoreError> {
        self.pass(None).await?;
        // A record without a summary is none of a session.
        if !record.summary.is_empty() {
            self.shared.keys.lock().unwrap().push(key);
        }
        self.memory.create(key, record, now).await
    }

    async fn load(&self, key: SessionKey, now: UnixTime) -> Result<Option<StoredSession>, StoreError> {
        self.pass(Some(key)).await?;
        if self.keys().contains(&key) {
            self.shared.loads.fetch_add(1, Ordering::SeqCst);
        }
        let swapped = *self.shared.swapped.lock().unwrap();
        let key = match swapped {
            Some((one, other)) if key == one => other,
            Some((one, other)) if key == other => one,
            _ => key,
        };
        self.memory.load(key, now).await
    }

    async fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> Result<Update, StoreError> {
        self.pass(Some(key)).await?;
        let mode = *self.shared.mode.lock().unwrap();
        if mode == Mode::ReadOnly {
            return Err(StoreError::refused("the test says so"));
        }
        self.memory.update(key, expected, record, now).await
    }

    async fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.pass(Some(key)).await?;
        self.memory.touch(key, last_used, expires, now).await
    }

    async fn end(&self, key: SessionKey) -> Result<bool, StoreError> {
        self.pass(Some(key)).await?;
        self.memory.end(key).await
    }

    async fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> Result<Page, StoreError> {
        self.pass(None).await?;
        self.memory.list(of, after, now).await
    }

    async fn watch(&self, notices: Notices) -> StoreError {
        let shared = Arc::clone(&self.shared);
        let heard = Notices::new(move |notice| {
            use huggate::store::Notice;
            if !shared.is_deaf.load(Ordering::SeqCst) {
                match notice {
                    Notice::Ended(key) => notices.ended(key),
                    Notice::Changed(key, revision) => notices.changed(key, revision),
                    _ => notices.missed(),
                }
            }
        });
        self.memory.watch(heard).await
    }
}
