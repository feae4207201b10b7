//! The trait that a server-side store implements.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::error::StoreError;
use super::identifier::{OwnerKey, Revision, SessionKey};
use super::notice::Notices;
use super::stored::{Cursor, Page, SessionRecord, StoredSession, Update};
use crate::clock::UnixTime;

/// A store of sessions that any number of gates share.
///
/// Implement the functions as `async fn`. `now` is the gate's time, in seconds since 1970: a
/// session whose [`expires`](SessionRecord::expires) is not after `now` is not there, for any
/// function. A store may remove it, at any time and by its own clock.
///
/// The gate ends a call after [`SessionSettings::store_timeout`], and drops its future. After
/// that, or after [`StoreError::unavailable`], it fails all calls at once and loads a
/// session that does not exist, at growing intervals, until that is answered.
///
/// `huggate::testing::store_conformance` (feature `testing`) checks what is promised here.
///
/// [`SessionSettings::store_timeout`]: crate::session::SessionSettings::store_timeout
pub trait SessionStore: Send + Sync + 'static {
    /// Stores a session in [`Revision::FIRST`]. If the key is taken, it stores nothing and
    /// the result is [`StoreError::refused`].
    fn create(
        &self,
        key: SessionKey,
        record: SessionRecord,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The session, as the last completed call of any gate left it.
    fn load(
        &self,
        key: SessionKey,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<StoredSession>, StoreError>> + Send;

    /// Replaces the session if it is in the revision `expected`, in one atomic step; it is in
    /// the [next](Revision::next) one then. `last_used` and `expires` keep the later of both
    /// values ([`SessionRecord::replacing`]), and the session is listed under the record's
    /// owner alone. Tells every watcher [`Notices::changed`].
    fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> impl Future<Output = Result<Update, StoreError>> + Send;

    /// Raises `last_used` and `expires`, and never lowers them. It changes neither the
    /// revision nor anything else, tells nobody, and does nothing if there is no such
    /// session.
    fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Removes the session, and says whether there was one. Tells every watcher
    /// [`Notices::ended`].
    fn end(&self, key: SessionKey) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// The sessions of a person, or all, a page at a time. The sessions of a person take
    /// time in proportion to their number, not to that of all. A session that is there from
    /// the first page to the last is listed exactly once.
    fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> impl Future<Output = Result<Page, StoreError>> + Send;

    /// Tells `notices` what any gate ends and updates, this one included, until it cannot. It
    /// calls [`Notices::missed`] once it is connected, and whenever notices may have been
    /// lost. The gate calls it again when it returns, after a pause, and drops it with
    /// itself. A store that cannot tell anything returns [`std::future::pending`]; then
    /// changes count once the cache is [too old](crate::session::SessionSettings::cache).
    fn watch(&self, notices: Notices) -> impl Future<Output = StoreError> + Send;
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The same trait, as an object.
pub(super) trait StoreObject: Send + Sync {
    fn create(
        &self,
        key: SessionKey,
        record: SessionRecord,
        now: UnixTime,
    ) -> Boxed<'_, Result<(), StoreError>>;
    fn load(&self, key: SessionKey, now: UnixTime) -> Boxed<'_, Result<Option<StoredSession>, StoreError>>;
    fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> Boxed<'_, Result<Update, StoreError>>;
    fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Boxed<'_, Result<(), StoreError>>;
    fn end(&self, key: SessionKey) -> Boxed<'_, Result<bool, StoreError>>;
    fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> Boxed<'_, Result<Page, StoreError>>;
    fn watch(&self, notices: Notices) -> Boxed<'_, StoreError>;
}

impl<S: SessionStore> StoreObject for S {
    fn create(
        &self,
        key: SessionKey,
        record: SessionRecord,
        now: UnixTime,
    ) -> Boxed<'_, Result<(), StoreError>> {
        Box::pin(SessionStore::create(self, key, record, now))
    }

    fn load(&self, key: SessionKey, now: UnixTime) -> Boxed<'_, Result<Option<StoredSession>, StoreError>> {
        Box::pin(SessionStore::load(self, key, now))
    }

    fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> Boxed<'_, Result<Update, StoreError>> {
        Box::pin(SessionStore::update(self, key, expected, record, now))
    }

    fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Boxed<'_, Result<(), StoreError>> {
        Box::pin(SessionStore::touch(self, key, last_used, expires, now))
    }

    fn end(&self, key: SessionKey) -> Boxed<'_, Result<bool, StoreError>> {
        Box::pin(SessionStore::end(self, key))
    }

    fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> Boxed<'_, Result<Page, StoreError>> {
        Box::pin(SessionStore::list(self, of, after, now))
    }

    fn watch(&self, notices: Notices) -> Boxed<'_, StoreError> {
        Box::pin(SessionStore::watch(self, notices))
    }
}

/// A [`SessionStore`] of any type; clones are the same store.
#[derive(Clone)]
pub struct CustomStore(pub(super) Arc<dyn StoreObject>);

impl CustomStore {
    /// Erases the type of `store`.
    pub fn new(store: impl SessionStore) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for CustomStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CustomStore(..)")
    }
}
