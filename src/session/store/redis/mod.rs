//! Sessions in Redis or Valkey.
//!
//! One key has a session, packed ([`record`]). Two sorted sets list it, one of the person's
//! sessions and one of 256 that together have all; the members are session keys and the
//! scores expiries. No command needs two keys, so that a cluster can keep each anywhere. A
//! list is filled before a session is written, and what it names and is not there is dropped
//! when it is read: a crash between two commands loses nothing.

mod channel;
mod cluster;
mod command;
mod connector;
mod endpoint;
mod failure;
mod listing;
mod names;
mod parsed;
mod record;
mod scripts;
mod sentinel;
mod servers;
mod sessions;
mod settings;
mod slots;
mod tls;
mod watching;

use std::fmt;
use std::sync::Arc;

use self::names::Names;
use self::servers::Servers;
use self::sessions::Sessions;
pub use self::settings::{RedisMode, RedisSettings, RedisSettingsError};
use super::contract::SessionStore;
use super::error::StoreError;
use super::identifier::{OwnerKey, Revision, SessionKey};
use super::notice::Notices;
use super::stored::{Cursor, Page, SessionRecord, StoredSession, Update};
use crate::clock::UnixTime;

/// Sessions in Redis or Valkey: one server, a cluster, or a master that sentinels name.
/// Clones are the same store, and share its connections.
///
/// A process has one connection to the server, or to each node of a cluster, for all
/// calls, and one for what others change. A connection that breaks is opened again by the
/// next call; while that does not succeed, calls fail at once, and attempts have growing
/// pauses of at most a second.
///
/// The servers need Redis 6 or newer, or Valkey. Every key has a time to live.
///
/// ```no_run
/// use huggate::store::{RedisSettings, RedisStore};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::new(&RedisSettings::new("redis://127.0.0.1:6379"))?;
/// let gate = huggate::Gate::builder().session_store(store);
/// # drop(gate);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisStore {
    sessions: Arc<Sessions>,
}

impl RedisStore {
    /// A store at the servers of `settings`. It does not connect: a server that is away, a
    /// wrong password or a wrong mode is found by the first call, and every later one tries
    /// again.
    ///
    /// # Errors
    /// With the setting that cannot be used, and why.
    pub fn new(settings: &RedisSettings) -> Result<Self, RedisSettingsError> {
        let servers = Servers::new(settings)?;
        let names = Names(settings.prefix.clone());
        Ok(Self { sessions: Arc::new(Sessions::new(servers, names)) })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.sessions.names.0).finish_non_exhaustive()
    }
}

impl SessionStore for RedisStore {
    async fn create(&self, key: SessionKey, record: SessionRecord, now: UnixTime) -> Result<(), StoreError> {
        match self.sessions.create(key, &record, now).await? {
            true => Ok(()),
            false => Err(StoreError::refused("the session exists already")),
        }
    }

    async fn load(&self, key: SessionKey, now: UnixTime) -> Result<Option<StoredSession>, StoreError> {
        Ok(self.sessions.load(key, now).await?)
    }

    async fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> Result<Update, StoreError> {
        Ok(self.sessions.update(key, expected, &record, now).await?)
    }

    async fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        Ok(self.sessions.touch(key, last_used, expires, now).await?)
    }

    async fn end(&self, key: SessionKey) -> Result<bool, StoreError> {
        Ok(self.sessions.end(key).await?)
    }

    async fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> Result<Page, StoreError> {
        listing::page(&self.sessions, of, after.as_ref(), now).await
    }

    async fn watch(&self, notices: Notices) -> StoreError {
        watching::watch(&self.sessions.servers, &self.sessions.names, &notices).await.into()
    }
}
