//! Lists of sessions, a page at a time.
//!
//! A list reads one index after the other: that of the person, or the 256 that have all. A
//! session is in one of the 256, and each gives its sessions in the order of their keys, so
//! that the place where a page ends says which sessions have been listed.

use redis::Value;

use super::command::Command;
use super::failure::Failure;
use super::names::SHARDS;
use super::record;
use super::servers::Reply;
use super::sessions::Sessions;
use crate::clock::UnixTime;
use crate::session::store::error::StoreError;
use crate::session::store::identifier::{OwnerKey, SessionKey};
use crate::session::store::stored::{Cursor, Page, StoredSession};

/// The number of sessions in a page, at most.
const PAGE: usize = 200;
/// The most indexes that are read at once. A page begins with one, and doubles the number
/// until it is full: a large store fills it from one, and a small one takes a few round trips.
const AT_ONCE: u16 = 64;

pub(super) async fn page(
    at: &Sessions,
    of: Option<OwnerKey>,
    after: Option<&Cursor>,
    now: UnixTime,
) -> Result<Page, StoreError> {
    let after = after.map(Cursor::session_key).transpose()?;
    let page = match of {
        Some(owner) => of_person(at, owner, after, now).await?,
        None => of_all(at, after, now).await?,
    };
    Ok(page)
}

async fn of_person(
    at: &Sessions,
    owner: OwnerKey,
    after: Option<SessionKey>,
    now: UnixTime,
) -> Result<Page, Failure> {
    let index = at.names.owner(owner);
    let mut keys = members(at.servers.ask(Command::members(index)).await?, after)?;
    let is_last = keys.len() <= PAGE;
    keys.truncate(PAGE);
    let mut sessions = load(at, &keys, now).await?;
    // Listed here before an update that failed, or that moved it to another owner.
    sessions.retain(|(_, stored)| stored.record.owner == owner);
    Ok(Page::new(sessions, next(&keys, is_last)))
}

async fn of_all(at: &Sessions, after: Option<SessionKey>, now: UnixTime) -> Result<Page, Failure> {
    let mut from = after.map_or(0, |key| u16::from(key.as_bytes()[0]));
    let (mut keys, mut at_once) = (Vec::new(), 1);
    while from < SHARDS && keys.len() <= PAGE {
        let to = (from + at_once).min(SHARDS);
        let shards: Vec<u8> = (from..to).filter_map(|shard| u8::try_from(shard).ok()).collect();
        let reads: Vec<Command> =
            shards.iter().map(|shard| Command::members(at.names.shard(*shard))).collect();
        for (reply, shard) in at.servers.call(&reads).await?.into_iter().zip(shards) {
            // A key of another shard would be listed twice; only somebody else puts it there.
            keys.extend(members(reply, after)?.into_iter().filter(|key| key.as_bytes()[0] == shard));
        }
        from = to;
        at_once = (at_once * 2).min(AT_ONCE);
    }
    let is_last = keys.len() <= PAGE;
    keys.truncate(PAGE);
    let sessions = load(at, &keys, now).await?;
    Ok(Page::new(sessions, next(&keys, is_last)))
}

fn next(keys: &[SessionKey], is_last: bool) -> Option<Cursor> {
    keys.last().filter(|_| !is_last).map(|key| Cursor::new(key.as_bytes().to_vec()))
}

/// The keys of an index after `after`, in order.
fn members(reply: Reply, after: Option<SessionKey>) -> Result<Vec<SessionKey>, Failure> {
    let Value::Array(members) = reply.value else { return Err(reply.unexpected("ZRANGE")) };
    let mut keys: Vec<SessionKey> = members
        .into_iter()
        .filter_map(|member| match member {
            Value::BulkString(bytes) => bytes.try_into().ok().map(SessionKey::from_bytes),
            _ => None,
        })
        .filter(|key| after.is_none_or(|after| *key > after))
        .collect();
    keys.sort_unstable();
    Ok(keys)
}

/// The sessions of these keys. A key without one stays in its index until it expires there: a
/// session is indexed before it is written, and one that no list has cannot be ended.
async fn load(
    at: &Sessions,
    keys: &[SessionKey],
    now: UnixTime,
) -> Result<Vec<(SessionKey, StoredSession)>, Failure> {
    let mut sessions = Vec::with_capacity(keys.len());
    if keys.is_empty() {
        return Ok(sessions);
    }
    let reads: Vec<Command> = keys.iter().map(|key| Command::get(at.names.session(*key))).collect();
    for (reply, key) in at.servers.call(&reads).await?.into_iter().zip(keys) {
        match reply.value {
            Value::Nil => {}
            // A value that cannot be read is skipped: one record must not hide the others.
            Value::BulkString(value) => {
                let stored = record::decode(value).filter(|stored| stored.record.expires > now);
                sessions.extend(stored.map(|stored| (*key, stored)));
            }
            _ => return Err(reply.unexpected("GET")),
        }
    }
    Ok(sessions)
}
