//! The conformance suite finds each broken promise, and says which one it is.

use huggate::clock::UnixTime;
use huggate::store::{
    Cursor, MemoryStore, Notices, OwnerKey, Page, Revision, SessionKey, SessionRecord, SessionStore,
    StoreError, StoredSession, Update,
};
use huggate::testing::store_conformance;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bug {
    UpdateTakesAnyRevision,
    CreateOverwrites,
    ListShowsEverybody,
    ListStopsEarly,
    TouchRevives,
    TouchLowers,
    EndIsNotTold,
    OwnerStays,
    ExpiredStays,
}

/// A store with one bug.
#[derive(Clone)]
struct Broken {
    memory: MemoryStore,
    bug: Bug,
}

impl Broken {
    fn has(&self, bug: Bug) -> bool {
        self.bug == bug
    }
}

impl SessionStore for Broken {
    async fn create(&self, key: SessionKey, record: SessionRecord, now: UnixTime) -> Result<(), StoreError> {
        if self.has(Bug::CreateOverwrites) {
            self.memory.end(key).await?;
        }
        self.memory.create(key, record, now).await
    }

    async fn load(&self, key: SessionKey, now: UnixTime) -> Result<Option<StoredSession>, StoreError> {
        self.memory.load(key, if self.has(Bug::ExpiredStays) { 0 } else { now }).await
    }

    async fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        mut record: SessionRecord,
        now: UnixTime,
    ) -> Result<Update, StoreError> {
        let Some(stored) = self.memory.load(key, now).await? else { return Ok(Update::Ended) };
        if self.has(Bug::OwnerStays) {
            record.owner = stored.record.owner;
        }
        let any = self.has(Bug::UpdateTakesAnyRevision);
        self.memory.update(key, if any { stored.revision } else { expected }, record, now).await
    }

    async fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let stored = self.memory.load(key, now).await?;
        let owner = OwnerKey::from_bytes([0; 16]);
        match stored {
            None if self.has(Bug::TouchRevives) => {
                let record = SessionRecord::new(owner, "".into(), "".into(), last_used, expires);
                self.memory.create(key, record, now).await
            }
            Some(StoredSession { mut record, .. }) if self.has(Bug::TouchLowers) => {
                (record.last_used, record.expires) = (last_used, expires);
                self.memory.end(key).await?;
                self.memory.create(key, record, now).await
            }
            _ => self.memory.touch(key, last_used, expires, now).await,
        }
    }

    async fn end(&self, key: SessionKey) -> Result<bool, StoreError> {
        self.memory.end(key).await
    }

    async fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> Result<Page, StoreError> {
        let mut page =
            self.memory.list(of.filter(|_| !self.has(Bug::ListShowsEverybody)), after, now).await?;
        page.next = page.next.filter(|_| !self.has(Bug::ListStopsEarly));
        Ok(page)
    }

    async fn watch(&self, notices: Notices) -> StoreError {
        let lossy = self.has(Bug::EndIsNotTold);
        let heard = Notices::new(move |notice| {
            use huggate::store::Notice;
            match notice {
                Notice::Ended(_) if lossy => {}
                Notice::Ended(key) => notices.ended(key),
                Notice::Changed(key, revision) => notices.changed(key, revision),
                _ => notices.missed(),
            }
        });
        self.memory.watch(heard).await
    }
}

#[tokio::test]
async fn the_memory_store_keeps_every_promise() {
    let store = MemoryStore::new();
    store_conformance(store.clone(), store).await;
}

#[tokio::test]
async fn each_broken_promise_is_named() {
    for (bug, promise) in [
        (Bug::UpdateTakesAnyRevision, "an update of another revision is refused"),
        (Bug::CreateOverwrites, "create of a key that is taken is `StoreError::refused`"),
        (Bug::ListShowsEverybody, "has nobody else's sessions"),
        (Bug::ListStopsEarly, "have every session"),
        (Bug::TouchRevives, "a touch creates no session"),
        (Bug::TouchLowers, "a touch never lowers"),
        (Bug::EndIsNotTold, "watchers are told of the end of a session"),
        (Bug::OwnerStays, "is not listed under its former owner"),
        (Bug::ExpiredStays, "is not there from `expires` on"),
    ] {
        let store = Broken { memory: MemoryStore::new(), bug };
        let panic = tokio::spawn(store_conformance(store.clone(), store)).await.unwrap_err().into_panic();
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap();
        assert!(text.contains(promise), "{bug:?}: {text}");
    }
}
