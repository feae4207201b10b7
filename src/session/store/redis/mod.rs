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
mod settings;
mod slots;
mod tls;
mod watching;

use std::fmt;
use std::sync::Arc;

use quick_cache::sync::Cache;
use redis::Value;

use self::command::Command;
use self::failure::Failure;
use self::names::Names;
use self::servers::{Reply, Servers};
pub use self::settings::{RedisMode, RedisSettings, RedisSettingsError};
use super::contract::SessionStore;
use super::error::StoreError;
use super::identifier::{OwnerKey, Revision, SessionKey};
use super::notice::Notices;
use super::stored::{Cursor, Page, SessionRecord, StoredSession, Update};
use crate::clock::UnixTime;

/// The number of sessions whose person is remembered, so that a touch is one round trip.
const OWNERS: usize = 10_000;

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
    shared: Arc<Shared>,
}

struct Shared {
    servers: Servers,
    names: Names,
    owners: Cache<SessionKey, OwnerKey>,
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
        let (names, owners) = (Names(settings.prefix.clone()), Cache::new(OWNERS));
        Ok(Self { shared: Arc::new(Shared { servers, names, owners }) })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("prefix", &self.shared.names.0).finish_non_exhaustive()
    }
}

impl Shared {
    /// The record of a value, if it is there and not expired.
    fn read(&self, key: SessionKey, reply: Reply, now: UnixTime) -> Result<Option<StoredSession>, Failure> {
        let value = match reply.value {
            Value::Nil => return Ok(None),
            Value::BulkString(value) => value,
            _ => return Err(reply.unexpected("GET")),
        };
        let stored = record::decode(value).ok_or_else(|| self.foreign(key))?;
        if stored.record.expires <= now {
            return Ok(None);
        }
        self.owners.insert(key, stored.record.owner);
        Ok(Some(stored))
    }

    fn foreign(&self, key: SessionKey) -> Failure {
        Failure::Foreign(String::from_utf8_lossy(&self.names.session(key)).into_owned())
    }

    /// What lists a session: for all, and for its owner.
    fn indexed(&self, key: SessionKey, owner: OwnerKey, expires: UnixTime, now: UnixTime) -> [Command; 2] {
        [
            Command::index(self.names.shard_of(key), key, expires, now),
            Command::index(self.names.owner(owner), key, expires, now),
        ]
    }

    async fn create(&self, key: SessionKey, record: &SessionRecord, now: UnixTime) -> Result<bool, Failure> {
        let indexed = self.indexed(key, record.owner, record.expires, now);
        let create = Command::create(&self.names, key, record, now);
        let reply = self.servers.call_then(&indexed, create).await?;
        match reply.value {
            Value::Int(1) => {
                self.owners.insert(key, record.owner);
                Ok(true)
            }
            Value::Int(0) => Ok(false),
            _ => Err(reply.unexpected("a script")),
        }
    }

    async fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        record: &SessionRecord,
        now: UnixTime,
    ) -> Result<Update, Failure> {
        let indexed = self.indexed(key, record.owner, record.expires, now);
        let update = Command::update(&self.names, key, expected, record, now);
        let reply = self.servers.call_then(&indexed, update).await?;
        let Value::Array(mut parts) = reply.value else {
            return Err(Failure::Unexpected(reply.from, "a script"));
        };
        match parts.as_mut_slice() {
            [Value::Int(0)] => Ok(Update::Ended),
            [Value::Int(1), Value::BulkString(former), Value::BulkString(expires)] => {
                self.relist(key, record, former, expires, now).await?;
                Ok(Update::Done)
            }
            [Value::Int(2), value] => {
                let reply = Reply { from: reply.from, value: std::mem::take(value) };
                let stored = self.read(key, reply, now)?;
                Ok(stored.map_or(Update::Ended, Update::Changed))
            }
            [Value::Int(3)] => Err(self.foreign(key)),
            _ => Err(Failure::Unexpected(reply.from, "a script")),
        }
    }

    /// After an update: lists the session until the expiry in force, and under no other owner.
    async fn relist(
        &self,
        key: SessionKey,
        record: &SessionRecord,
        former: &[u8],
        expires: &[u8],
        now: UnixTime,
    ) -> Result<(), Failure> {
        self.owners.insert(key, record.owner);
        let mut commands = Vec::new();
        let expires = expires.try_into().map_or(record.expires, u64::from_be_bytes);
        if expires > record.expires {
            commands.extend(self.indexed(key, record.owner, expires, now));
        }
        if let Some(former) = record::owner(former).filter(|former| *former != record.owner) {
            commands.push(Command::unlist(self.names.owner(former), &[key]));
        }
        if !commands.is_empty() {
            self.servers.call(&commands).await?;
        }
        Ok(())
    }

    async fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), Failure> {
        let known = self.owners.get(&key);
        let mut commands = vec![Command::index(self.names.shard_of(key), key, expires, now)];
        commands.extend(known.map(|owner| Command::index(self.names.owner(owner), key, expires, now)));
        commands.push(Command::touch(&self.names, key, last_used, expires, now));
        let Some(reply) = self.servers.call(&commands).await?.pop() else { return Ok(()) };
        let owner = match &reply.value {
            Value::Nil => return Ok(()),
            Value::BulkString(owner) => record::owner(owner),
            _ => None,
        };
        let owner = owner.ok_or_else(|| reply.unexpected("a script"))?;
        if known != Some(owner) {
            self.owners.insert(key, owner);
            self.servers.ask(Command::index(self.names.owner(owner), key, expires, now)).await?;
        }
        Ok(())
    }

    async fn end(&self, key: SessionKey) -> Result<bool, Failure> {
        let reply = self.servers.ask(Command::end(&self.names, key)).await?;
        let owner = match &reply.value {
            Value::Nil => return Ok(false),
            Value::BulkString(owner) => record::owner(owner),
            _ => return Err(reply.unexpected("a script")),
        };
        let mut commands = vec![Command::unlist(self.names.shard_of(key), &[key])];
        commands.extend(owner.map(|owner| Command::unlist(self.names.owner(owner), &[key])));
        // The session has ended. What still lists it is dropped when a list is read.
        if let Err(failure) = self.servers.call(&commands).await {
            tracing::debug!(reason = %failure, "an ended session is still listed");
        }
        Ok(true)
    }
}

impl SessionStore for RedisStore {
    async fn create(&self, key: SessionKey, record: SessionRecord, now: UnixTime) -> Result<(), StoreError> {
        match self.shared.create(key, &record, now).await? {
            true => Ok(()),
            false => Err(StoreError::refused("the session exists already")),
        }
    }

    async fn load(&self, key: SessionKey, now: UnixTime) -> Result<Option<StoredSession>, StoreError> {
        let reply = self.shared.servers.ask(Command::get(self.shared.names.session(key))).await?;
        Ok(self.shared.read(key, reply, now)?)
    }

    async fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> Result<Update, StoreError> {
        Ok(self.shared.update(key, expected, &record, now).await?)
    }

    async fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        Ok(self.shared.touch(key, last_used, expires, now).await?)
    }

    async fn end(&self, key: SessionKey) -> Result<bool, StoreError> {
        Ok(self.shared.end(key).await?)
    }

    async fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> Result<Page, StoreError> {
        listing::page(&self.shared, of, after.as_ref(), now).await
    }

    async fn watch(&self, notices: Notices) -> StoreError {
        watching::watch(&self.shared.servers, &self.shared.names, &notices).await.into()
    }
}
