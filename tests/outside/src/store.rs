//! Sessions in a store of our own, which several gates share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use huggate::clock::UnixTime;
use huggate::store::{
    Cursor, Notice, Notices, OwnerKey, Page, Revision, SessionKey, SessionRecord, SessionStore, StoreError,
    StoredSession, Update,
};
use tokio::sync::broadcast::{self, error::RecvError};

/// How many sessions a page lists.
const PAGE: usize = 100;

/// Stands for a database with a channel for notices; clones are the same one.
#[derive(Debug, Clone)]
pub struct SharedSessions {
    tables: Arc<Mutex<Tables>>,
    notices: broadcast::Sender<Notice>,
}

#[derive(Debug, Default)]
struct Tables {
    sessions: BTreeMap<SessionKey, StoredSession>,
    /// The index by person.
    owned: BTreeSet<(OwnerKey, SessionKey)>,
}

impl Default for SharedSessions {
    fn default() -> Self {
        Self { tables: Arc::default(), notices: broadcast::Sender::new(1024) }
    }
}

impl SharedSessions {
    fn tables<T>(&self, step: impl FnOnce(&mut Tables) -> T) -> Result<T, StoreError> {
        let mut tables = self.tables.lock().map_err(|_| StoreError::unavailable("a call panicked"))?;
        Ok(step(&mut tables))
    }

    fn tell(&self, notice: Notice) {
        // An error says that no gate listens.
        let _ = self.notices.send(notice);
    }
}

impl Tables {
    /// Removes what has expired.
    fn at(&mut self, now: UnixTime) -> &mut Self {
        self.sessions.retain(|key, stored| {
            let there = stored.record.expires > now;
            if !there {
                self.owned.remove(&(stored.record.owner, *key));
            }
            there
        });
        self
    }

    fn put(&mut self, key: SessionKey, stored: StoredSession) {
        let owner = stored.record.owner;
        if let Some(before) = self.sessions.insert(key, stored) {
            self.owned.remove(&(before.record.owner, key));
        }
        self.owned.insert((owner, key));
    }
}

impl SessionStore for SharedSessions {
    async fn create(&self, key: SessionKey, record: SessionRecord, now: UnixTime) -> Result<(), StoreError> {
        self.tables(|tables| {
            if tables.at(now).sessions.contains_key(&key) {
                return Err(StoreError::refused("the key is taken"));
            }
            tables.put(key, StoredSession::new(Revision::FIRST, record));
            Ok(())
        })?
    }

    async fn load(&self, key: SessionKey, now: UnixTime) -> Result<Option<StoredSession>, StoreError> {
        self.tables(|tables| tables.at(now).sessions.get(&key).cloned())
    }

    async fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> Result<Update, StoreError> {
        let update = self.tables(|tables| match tables.at(now).sessions.get(&key) {
            None => Update::Ended,
            Some(stored) if stored.revision != expected => Update::Changed(stored.clone()),
            Some(stored) => {
                let record = record.replacing(&stored.record);
                tables.put(key, StoredSession::new(expected.next(), record));
                Update::Done
            }
        })?;
        if matches!(update, Update::Done) {
            self.tell(Notice::Changed(key, expected.next()));
        }
        Ok(update)
    }

    async fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.tables(|tables| {
            if let Some(StoredSession { record, .. }) = tables.at(now).sessions.get_mut(&key) {
                record.last_used = record.last_used.max(last_used);
                record.expires = record.expires.max(expires);
            }
        })
    }

    async fn end(&self, key: SessionKey) -> Result<bool, StoreError> {
        let ended = self.tables(|tables| {
            let ended = tables.sessions.remove(&key);
            if let Some(StoredSession { record, .. }) = &ended {
                tables.owned.remove(&(record.owner, key));
            }
            ended.is_some()
        })?;
        self.tell(Notice::Ended(key));
        Ok(ended)
    }

    async fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> Result<Page, StoreError> {
        let after = match after {
            Some(cursor) => Some(cursor.as_bytes().try_into().map_err(StoreError::refused)?),
            None => None,
        };
        let after = after.map_or(SessionKey::from_bytes([0; 16]), SessionKey::from_bytes);
        self.tables(|tables| {
            let Tables { sessions, owned } = tables.at(now);
            let keys: Vec<SessionKey> = match of {
                Some(owner) => {
                    let theirs = owned.range((owner, after)..).take_while(|(of, _)| *of == owner);
                    theirs.map(|(_, key)| *key).take(PAGE + 1).collect()
                }
                None => sessions.range(after..).map(|(key, _)| *key).take(PAGE + 1).collect(),
            };
            // The first of the next page, which begins with it.
            let next = keys.get(PAGE).map(|key| Cursor::new(key.as_bytes().to_vec()));
            let page = keys.iter().take(PAGE).filter_map(|key| Some((*key, sessions.get(key)?.clone())));
            Page::new(page.collect(), next)
        })
    }

    async fn watch(&self, notices: Notices) -> StoreError {
        let mut told = self.notices.subscribe();
        // Whatever happened before is unknown.
        notices.missed();
        loop {
            match told.recv().await {
                Ok(Notice::Ended(key)) => notices.ended(key),
                Ok(Notice::Changed(key, revision)) => notices.changed(key, revision),
                Ok(_) | Err(RecvError::Lagged(_)) => notices.missed(),
                Err(RecvError::Closed) => return StoreError::unavailable("the channel is closed"),
            }
        }
    }
}
