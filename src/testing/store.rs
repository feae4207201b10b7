//! What a [`SessionStore`] promises, as a test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock::{Clock, UnixTime};
use crate::keys::random;
use crate::session::store::{
    Notice, Notices, OwnerKey, Revision, SessionKey, SessionRecord, SessionStore, StoreError, StoredSession,
    Update,
};

/// How long a notice may take.
const TOLD: Duration = Duration::from_secs(2);
/// How long a watch may take to be connected.
const CONNECTED: Duration = Duration::from_secs(10);
/// More than a usual page.
const MANY: usize = 300;
/// How many calls run at once.
const RACERS: usize = 16;
/// How long the suite's sessions last, in seconds.
const LASTS: u64 = 600;

/// Checks everything that [`SessionStore`] promises. `first` and `second` are two handles on
/// the same empty store, such as two connections; of a store in memory, two clones. The suite
/// leaves sessions behind, which expire after ten minutes.
///
/// ```
/// use huggate::store::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = MemoryStore::new();
/// huggate::testing::store_conformance(store.clone(), store).await;
/// # }
/// ```
///
/// # Panics
/// With a sentence that says which promise is broken.
pub async fn store_conformance<S: SessionStore>(first: S, second: S) {
    let suite = Suite { first: Arc::new(first), second: Arc::new(second), now: Clock::system().now() };
    suite.a_created_session_is_loaded_as_it_is().await;
    suite.a_list_of_a_person_has_theirs_alone().await;
    suite.a_key_is_created_once().await;
    suite.an_update_replaces_the_expected_revision_alone().await;
    suite.a_touch_only_raises().await;
    suite.an_ended_session_stays_ended().await;
    suite.an_expired_session_is_not_there().await;
    suite.a_list_has_each_session_once().await;
    suite.one_of_many_wins().await;
    suite.watchers_are_told().await;
}

struct Suite<S> {
    first: Arc<S>,
    second: Arc<S>,
    now: UnixTime,
}

/// The value, or the end of the suite.
fn answered<T>(call: &str, result: Result<T, StoreError>) -> T {
    let failed =
        result.as_ref().err().map(|error| format!("{error}: {:?}", std::error::Error::source(error)));
    assert!(failed.is_none(), "{call} failed: {}", failed.unwrap_or_default());
    let Ok(value) = result else { unreachable!("it was asserted") };
    value
}

fn key() -> SessionKey {
    SessionKey::from_bytes(random())
}

impl<S: SessionStore> Suite<S> {
    fn record(&self, owner: OwnerKey, sealed: &'static [u8]) -> SessionRecord {
        let (sealed, summary) = (Bytes::from_static(sealed), Bytes::from_static(b"summary"));
        SessionRecord::new(owner, sealed, summary, self.now, self.now + LASTS)
    }

    /// A session of somebody's, created through the first handle.
    async fn created(&self) -> (SessionKey, SessionRecord) {
        let (key, record) = (key(), self.record(OwnerKey::from_bytes(random()), b"sealed"));
        answered("create", self.first.create(key, record.clone(), self.now).await);
        (key, record)
    }

    async fn loaded(&self, key: SessionKey) -> Option<StoredSession> {
        let first = answered("load", self.first.load(key, self.now).await);
        let second = answered("load", self.second.load(key, self.now).await);
        assert_eq!(first, second, "both handles load the same session, whichever changed it");
        first
    }

    async fn listed(&self, of: Option<OwnerKey>, now: UnixTime) -> BTreeMap<SessionKey, StoredSession> {
        let (mut all, mut after) = (BTreeMap::new(), None);
        for _ in 0..MANY * 4 {
            let page = answered("list", self.second.list(of, after, now).await);
            for (key, stored) in page.sessions {
                assert!(all.insert(key, stored).is_none(), "a list has no session twice");
            }
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
        assert!(after.is_none(), "a list comes to an end");
        all
    }

    async fn a_created_session_is_loaded_as_it_is(&self) {
        let (key, record) = self.created().await;
        let stored = self.loaded(key).await;
        let expected = Some(StoredSession::new(Revision::FIRST, record));
        assert_eq!(stored, expected, "a created session is loaded as it was created, in the first revision");
        let largest = SessionRecord::new(
            OwnerKey::from_bytes(random()),
            Bytes::from(vec![0xa5; SessionRecord::MAX_SEALED]),
            Bytes::from(vec![0; SessionRecord::MAX_SUMMARY]),
            self.now,
            self.now + LASTS,
        );
        let key = self::key();
        answered("create of the largest record", self.first.create(key, largest.clone(), self.now).await);
        let stored = self.loaded(key).await.map(|stored| stored.record);
        assert!(stored == Some(largest), "a record of the maximum size, of any bytes, is loaded as it was");
        assert_eq!(self.loaded(self::key()).await, None, "a session that was never created is not there");
    }

    async fn a_key_is_created_once(&self) {
        let (key, record) = self.created().await;
        let other = self.record(OwnerKey::from_bytes(random()), b"another");
        let again = self.second.create(key, other.clone(), self.now).await;
        let refused = again.as_ref().err().map(StoreError::is_unavailable);
        assert_eq!(refused, Some(false), "create of a key that is taken is `StoreError::refused`");
        let stored = self.loaded(key).await.map(|stored| stored.record);
        assert_eq!(stored, Some(record), "create never overwrites a session");
        let theirs = self.listed(Some(other.owner), self.now).await;
        assert!(theirs.is_empty(), "a refused create leaves nothing in the list of its owner");
    }

    async fn an_update_replaces_the_expected_revision_alone(&self) {
        let (key, record) = self.created().await;
        let mut newer = self.record(record.owner, b"newer");
        newer.summary = Bytes::from_static(b"newer summary");
        (newer.last_used, newer.expires) = (self.now - 10, self.now + LASTS - 10);
        let update =
            answered("update", self.second.update(key, Revision::FIRST, newer.clone(), self.now).await);
        assert_eq!(update, Update::Done, "an update of the expected revision is done");
        let expected = StoredSession::new(Revision::FIRST.next(), newer.clone().replacing(&record));
        let stored = self.loaded(key).await;
        let revision = stored.as_ref().map(|stored| stored.revision);
        assert_eq!(revision, Some(expected.revision), "an update makes the next revision");
        let times = stored.as_ref().map(|stored| (stored.record.last_used, stored.record.expires));
        let grown = (record.last_used, record.expires);
        assert_eq!(times, Some(grown), "an update keeps the later `last_used` and `expires`");
        assert_eq!(stored.as_ref(), Some(&expected), "an update replaces the record");
        for wrong in [Revision::FIRST, expected.revision.next()] {
            let update = answered(
                "update",
                self.first.update(key, wrong, self.record(record.owner, b"lost"), self.now).await,
            );
            let changed = Update::Changed(expected.clone());
            assert_eq!(
                update, changed,
                "an update of another revision is refused, with the session as it is"
            );
        }
        assert_eq!(self.loaded(key).await, stored, "a refused update changes nothing");
        let unknown = self::key();
        let update = answered("update", self.first.update(unknown, Revision::FIRST, newer, self.now).await);
        assert_eq!(update, Update::Ended, "an update of a session that is not there is `Ended`");
        assert_eq!(self.loaded(unknown).await, None, "an update creates no session");
    }

    async fn a_touch_only_raises(&self) {
        let (key, record) = self.created().await;
        let (used, expires) = (self.now + 5, self.now + LASTS + 5);
        answered("touch", self.second.touch(key, used, expires, self.now).await);
        let stored = self.loaded(key).await;
        let mut raised = record;
        (raised.last_used, raised.expires) = (used, expires);
        let raised = Some(StoredSession::new(Revision::FIRST, raised));
        assert_eq!(stored, raised, "a touch raises `last_used` and `expires`, and changes nothing else");
        answered("touch", self.first.touch(key, self.now, self.now + 1, self.now).await);
        assert_eq!(self.loaded(key).await, raised, "a touch never lowers `last_used` or `expires`");
        let unknown = self::key();
        answered("touch", self.first.touch(unknown, used, expires, self.now).await);
        assert_eq!(self.loaded(unknown).await, None, "a touch creates no session");
    }

    async fn an_ended_session_stays_ended(&self) {
        let (key, record) = self.created().await;
        assert!(answered("end", self.second.end(key).await), "`end` says that there was a session");
        assert_eq!(self.loaded(key).await, None, "an ended session is not there");
        assert!(!answered("end", self.first.end(key).await), "`end` says that there is no session any more");
        answered("touch", self.first.touch(key, self.now + 9, self.now + LASTS + 9, self.now).await);
        assert_eq!(self.loaded(key).await, None, "a touch does not revive an ended session");
        let update = self.first.update(key, Revision::FIRST, record.clone(), self.now).await;
        assert_eq!(answered("update", update), Update::Ended, "an update of an ended session is `Ended`");
        assert_eq!(self.loaded(key).await, None, "an update does not revive an ended session");
        let listed = self.listed(Some(record.owner), self.now).await;
        assert!(listed.is_empty(), "an ended session is in no list");
    }

    async fn an_expired_session_is_not_there(&self) {
        let (key, record) = self.created().await;
        let last = answered("load", self.first.load(key, record.expires - 1).await);
        assert!(last.is_some(), "a session is there until it expires");
        let (used, then) = (record.last_used, record.expires);
        let load = answered("load", self.first.load(key, then).await);
        assert_eq!(load, None, "a session is not there from `expires` on");
        let listed = self.listed(Some(record.owner), then).await;
        assert!(listed.is_empty(), "an expired session is in no list");
        let update = self.second.update(key, Revision::FIRST, record, then).await;
        assert_eq!(answered("update", update), Update::Ended, "an update of an expired session is `Ended`");
        answered("touch", self.first.touch(key, used, then + LASTS, then).await);
        let load = answered("load", self.first.load(key, then).await);
        assert_eq!(load, None, "a touch does not revive an expired session");
    }

    async fn a_list_has_each_session_once(&self) {
        let owner = OwnerKey::from_bytes(random());
        let mut created = BTreeMap::new();
        for _ in 0..MANY {
            let (key, record) = (key(), self.record(owner, b"sealed"));
            answered("create", self.first.create(key, record.clone(), self.now).await);
            created.insert(key, StoredSession::new(Revision::FIRST, record));
        }
        let theirs = self.listed(Some(owner), self.now).await;
        assert!(theirs == created, "the pages of a list have every session of the person, as it is");
        let mut all = self.listed(None, self.now).await;
        all.retain(|_, stored| stored.record.owner == owner);
        assert!(all == created, "the pages of a list of all have every session");
    }

    async fn a_list_of_a_person_has_theirs_alone(&self) {
        let (key, record) = self.created().await;
        let (other, _) = self.created().await;
        let theirs = self.listed(Some(record.owner), self.now).await;
        assert!(!theirs.contains_key(&other), "a list of a person has nobody else's sessions");
        assert!(theirs.contains_key(&key) && theirs.len() == 1, "a list of a person has their sessions");
        let moved = self.record(OwnerKey::from_bytes(random()), b"sealed");
        let update = self.second.update(key, Revision::FIRST, moved.clone(), self.now).await;
        assert_eq!(answered("update", update), Update::Done, "an update of the expected revision is done");
        let before = self.listed(Some(record.owner), self.now).await;
        assert!(before.is_empty(), "after an update, a session is not listed under its former owner");
        let after = self.listed(Some(moved.owner), self.now).await;
        assert!(after.contains_key(&key), "after an update, a session is listed under its new owner");
    }

    async fn one_of_many_wins(&self) {
        let (key, record) = self.created().await;
        let (fresh, mut racing, mut creating) = (self::key(), JoinSet::new(), JoinSet::new());
        for racer in 0..RACERS {
            let store = Arc::clone(if racer % 2 == 0 { &self.first } else { &self.second });
            let (record, now) = (record.clone(), self.now);
            let other = (Arc::clone(&store), record.clone());
            racing.spawn(async move { store.update(key, Revision::FIRST, record, now).await });
            creating.spawn(async move { other.0.create(fresh, other.1, now).await });
        }
        let updates = racing.join_all().await;
        let won = updates.into_iter().filter(|update| matches!(update, Ok(Update::Done))).count();
        assert_eq!(won, 1, "of updates that expect the same revision, exactly one is done");
        let revision = self.loaded(key).await.map(|stored| stored.revision);
        assert_eq!(revision, Some(Revision::FIRST.next()), "of racing updates, one makes a revision");
        let created = creating.join_all().await.into_iter().filter(Result::is_ok).count();
        assert_eq!(created, 1, "of creates of the same key, exactly one is done");
    }

    async fn watchers_are_told(&self) {
        let told = Told::default();
        let heard = told.clone();
        let store = Arc::clone(&self.second);
        let watch =
            tokio::spawn(async move { store.watch(Notices::new(move |notice| heard.add(notice))).await });
        told.until(CONNECTED, Notice::Missed, "`watch` says `missed` once it is connected").await;
        for by in [&self.first, &self.second] {
            let (key, record) = self.created().await;
            let update = by.update(key, Revision::FIRST, record, self.now).await;
            assert_eq!(
                answered("update", update),
                Update::Done,
                "an update of the expected revision is done"
            );
            let changed = Notice::Changed(key, Revision::FIRST.next());
            told.until(TOLD, changed, "watchers are told of an update, with the revision that it made").await;
            answered("end", by.end(key).await);
            told.until(TOLD, Notice::Ended(key), "watchers are told of the end of a session").await;
        }
        assert!(!watch.is_finished(), "a watch goes on until it cannot");
        watch.abort();
    }
}

/// What a watcher was told.
#[derive(Clone, Default)]
struct Told {
    notices: Arc<Mutex<Vec<Notice>>>,
    added: Arc<Notify>,
}

impl Told {
    fn add(&self, notice: Notice) {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push(notice);
        self.added.notify_one();
    }

    async fn until(&self, limit: Duration, wanted: Notice, promise: &str) {
        let found = || self.notices.lock().unwrap_or_else(PoisonError::into_inner).contains(&wanted);
        let heard = async {
            while !found() {
                self.added.notified().await;
            }
        };
        assert!(timeout(limit, heard).await.is_ok(), "{promise}");
    }
}
