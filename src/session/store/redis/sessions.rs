//! Creates, reads and changes sessions.

use quick_cache::sync::Cache;
use redis::Value;

use super::command::Command;
use super::failure::Failure;
use super::names::Names;
use super::record;
use super::servers::{Reply, Servers};
use crate::clock::UnixTime;
use crate::session::store::identifier::{OwnerKey, Revision, SessionKey};
use crate::session::store::stored::{SessionRecord, StoredSession, Update};

/// The number of sessions whose person is remembered, so that a touch is one round trip.
const OWNERS: usize = 10_000;

/// The sessions at some servers.
pub(super) struct Sessions {
    pub(super) servers: Servers,
    pub(super) names: Names,
    owners: Cache<SessionKey, OwnerKey>,
}

impl Sessions {
    pub(super) fn new(servers: Servers, names: Names) -> Self {
        Self { servers, names, owners: Cache::new(OWNERS) }
    }

    pub(super) async fn load(
        &self,
        key: SessionKey,
        now: UnixTime,
    ) -> Result<Option<StoredSession>, Failure> {
        let reply = self.servers.ask(Command::get(self.names.session(key))).await?;
        self.read(key, reply, now)
    }

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

    pub(super) async fn create(
        &self,
        key: SessionKey,
        record: &SessionRecord,
        now: UnixTime,
    ) -> Result<bool, Failure> {
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

    pub(super) async fn update(
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

    pub(super) async fn touch(
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

    pub(super) async fn end(&self, key: SessionKey) -> Result<bool, Failure> {
        let reply = self.servers.ask(Command::end(&self.names, key)).await?;
        let owner = match &reply.value {
            Value::Nil => return Ok(false),
            Value::BulkString(owner) => record::owner(owner),
            _ => return Err(reply.unexpected("a script")),
        };
        let mut commands = vec![Command::unlist(self.names.shard_of(key), &[key])];
        commands.extend(owner.map(|owner| Command::unlist(self.names.owner(owner), &[key])));
        // The session has ended. What still lists it is dropped when it would have expired.
        if let Err(failure) = self.servers.call(&commands).await {
            tracing::debug!(reason = %failure, "an ended session is still listed");
        }
        Ok(true)
    }
}
