//! The tables of a session file, and what changes in them.

use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError, WriteTransaction};

use super::super::identifier::{OwnerKey, Revision, SessionKey};
use super::super::stored::{Cursor, Page, SessionRecord, StoredSession, Update};
use super::encoding::{Record, Times, expiring_session, expiry_entry, owned_session, owner_entry};
use crate::clock::UnixTime;

/// The format of the file. A version refuses files of a greater one.
pub(super) const FORMAT: u64 = 1;
/// The number of sessions in a page.
const PAGE: usize = 100;

/// What a file has beyond three times its sessions, in bytes.
const SLACK: u64 = 16 * 1024 * 1024;

type Name = &'static str;
type Key = &'static [u8; 16];
type Value = &'static [u8];

/// Numbers of the whole file: `format`, and `live`, the bytes that its sessions take.
const META: TableDefinition<'_, Name, u64> = TableDefinition::new("huggate");
const SESSIONS: TableDefinition<'_, Key, Value> = TableDefinition::new("sessions");
const TIMES: TableDefinition<'_, Key, Value> = TableDefinition::new("times");
const OWNERS: TableDefinition<'_, &'static [u8; 32], ()> = TableDefinition::new("owners");
const EXPIRIES: TableDefinition<'_, &'static [u8; 24], ()> = TableDefinition::new("expiries");

/// What the format of a file is.
pub(super) enum Format {
    Known,
    Newer(u64),
    /// redb's, and not huggate's.
    Foreign,
}

/// The bytes that a session takes in the file, roughly: pages of redb are a power of two, and
/// half full at worst.
fn weight(record: &[u8]) -> u64 {
    let length = record.len() as u64;
    1024 + if length > 2048 { (length + 128).next_power_of_two() } else { length * 2 }
}

/// Finds out the format, and gives a database without any table the one of this version.
pub(super) fn check_format(database: &Database) -> Result<Format, redb::Error> {
    let reading = database.begin_read()?;
    match reading.open_table(META) {
        Ok(meta) => Ok(match meta.get("format")?.map(|format| format.value()) {
            Some(format) if format > FORMAT => Format::Newer(format),
            Some(_) => Format::Known,
            None => Format::Foreign,
        }),
        Err(TableError::TableDoesNotExist(_)) => {
            if reading.list_tables()?.next().is_some() || reading.list_multimap_tables()?.next().is_some() {
                return Ok(Format::Foreign);
            }
            drop(reading);
            let writing = database.begin_write()?;
            let mut tables = Tables::open(&writing)?;
            tables.meta.insert("format", FORMAT)?;
            tables.close()?;
            writing.commit()?;
            Ok(Format::Known)
        }
        Err(TableError::Storage(error)) => Err(error.into()),
        Err(_) => Ok(Format::Foreign),
    }
}

/// The bytes that the sessions of the file take, roughly.
pub(super) fn live(database: &Database) -> Result<u64, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    Ok(meta.get("live")?.map_or(0, |live| live.value()))
}

/// The size above which a file with such sessions is compacted. redb doubles a file that is
/// full, so it is twice as large as necessary while it grows.
pub(super) fn largest_size(live: u64) -> u64 {
    live * 3 + SLACK
}

/// Whether [`Tables::sweep`] would find anything.
pub(super) fn has_expired(database: &Database, now: UnixTime) -> Result<bool, redb::Error> {
    let expiries = database.begin_read()?.open_table(EXPIRIES)?;
    let last = expiry_entry(now, SessionKey::from_bytes([0xff; 16]));
    Ok(expiries.range::<&[u8; 24]>(..=&last)?.next().is_some())
}

/// All tables, in a write transaction.
pub(super) struct Tables<'txn> {
    meta: Table<'txn, Name, u64>,
    sessions: Table<'txn, Key, Value>,
    times: Table<'txn, Key, Value>,
    owners: Table<'txn, &'static [u8; 32], ()>,
    expiries: Table<'txn, &'static [u8; 24], ()>,
    live: u64,
    live_before: u64,
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(writing: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        let meta = writing.open_table(META)?;
        let live = meta.get("live")?.map_or(0, |live| live.value());
        Ok(Self {
            meta,
            sessions: writing.open_table(SESSIONS)?,
            times: writing.open_table(TIMES)?,
            owners: writing.open_table(OWNERS)?,
            expiries: writing.open_table(EXPIRIES)?,
            live,
            live_before: live,
        })
    }

    /// Before the transaction is committed. The result is the bytes that the sessions take.
    pub(super) fn close(mut self) -> Result<u64, redb::Error> {
        if self.live != self.live_before {
            self.meta.insert("live", self.live)?;
        }
        Ok(self.live)
    }

    fn times(&self, key: SessionKey) -> Result<Option<Times>, redb::Error> {
        Ok(self.times.get(key.as_bytes())?.and_then(|value| Times::decode(value.value())))
    }

    /// Whether it was created: the key was not taken.
    pub(super) fn create(
        &mut self,
        key: SessionKey,
        record: &SessionRecord,
        now: UnixTime,
    ) -> Result<bool, redb::Error> {
        if self.times(key)?.is_some_and(|times| times.expires > now) {
            return Ok(false);
        }
        self.remove(key)?;
        let value = Record::of(record, Revision::FIRST).encode();
        let times = Times::of(record);
        self.sessions.insert(key.as_bytes(), &*value)?;
        self.times.insert(key.as_bytes(), &*times.encode())?;
        self.owners.insert(&owner_entry(record.owner, key), ())?;
        self.expiries.insert(&expiry_entry(times.listed, key), ())?;
        self.live += weight(&value);
        Ok(true)
    }

    pub(super) fn update(
        &mut self,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> Result<Update, redb::Error> {
        let Some(times) = self.times(key)?.filter(|times| times.expires > now) else {
            return Ok(Update::Ended);
        };
        let (record, value, former, shrunk) = {
            let Some(guard) = self.sessions.get(key.as_bytes())? else { return Ok(Update::Ended) };
            let Some(stored) = Record::decode(guard.value()) else { return Ok(Update::Ended) };
            let before = stored.with(&times);
            if stored.revision != expected {
                return Ok(Update::Changed(StoredSession::new(stored.revision, before)));
            }
            let record = record.replacing(&before);
            let value = Record { appended: stored.appended, ..Record::of(&record, expected.next()) }.encode();
            (record, value, before.owner, weight(guard.value()))
        };
        self.live = self.live.saturating_sub(shrunk) + weight(&value);
        self.sessions.insert(key.as_bytes(), &*value)?;
        self.raise(key, &times, record.last_used, record.expires)?;
        if former != record.owner {
            self.owners.remove(&owner_entry(former, key))?;
            self.owners.insert(&owner_entry(record.owner, key), ())?;
        }
        Ok(Update::Done)
    }

    pub(super) fn touch(
        &mut self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), redb::Error> {
        match self.times(key)?.filter(|times| times.expires > now) {
            Some(times) => self.raise(key, &times, last_used, expires),
            None => Ok(()),
        }
    }

    /// Raises the times, which leaves the table of expiries as it is: [`Tables::sweep`] moves
    /// the session there when it comes to it.
    fn raise(
        &mut self,
        key: SessionKey,
        before: &Times,
        last_used: UnixTime,
        expires: UnixTime,
    ) -> Result<(), redb::Error> {
        let (last_used, expires) = (before.last_used.max(last_used), before.expires.max(expires));
        let times = Times { last_used, expires, ..before.clone() };
        if times != *before {
            self.times.insert(key.as_bytes(), &*times.encode())?;
        }
        Ok(())
    }

    /// Whether there was one.
    pub(super) fn remove(&mut self, key: SessionKey) -> Result<bool, redb::Error> {
        let times = self.times.remove(key.as_bytes())?.and_then(|value| Times::decode(value.value()));
        if let Some(times) = &times {
            self.expiries.remove(&expiry_entry(times.listed, key))?;
        }
        let removed = self.sessions.remove(key.as_bytes())?.map(|value| {
            let owner = Record::decode(value.value()).map(|record| record.owner);
            (owner, weight(value.value()))
        });
        let Some((owner, weight)) = removed else { return Ok(false) };
        self.live = self.live.saturating_sub(weight);
        if let Some(owner) = owner {
            self.owners.remove(&owner_entry(owner, key))?;
        }
        Ok(true)
    }

    /// Removes what has expired at `now`, and looks at `limit` sessions at most. The result is
    /// the number that it looked at.
    pub(super) fn sweep(&mut self, now: UnixTime, limit: usize) -> Result<usize, redb::Error> {
        let mut due = Vec::new();
        let last = expiry_entry(now, SessionKey::from_bytes([0xff; 16]));
        for entry in self.expiries.range::<&[u8; 24]>(..=&last)?.take(limit) {
            due.push(*entry?.0.value());
        }
        for entry in &due {
            let key = expiring_session(entry);
            match self.times(key)? {
                Some(mut times) if times.expires > now => {
                    times.listed = times.expires;
                    self.expiries.remove(entry)?;
                    self.expiries.insert(&expiry_entry(times.listed, key), ())?;
                    self.times.insert(key.as_bytes(), &*times.encode())?;
                }
                _ => {
                    self.remove(key)?;
                    self.expiries.remove(entry)?;
                }
            }
        }
        Ok(due.len())
    }
}

fn stored(
    sessions: &impl ReadableTable<Key, Value>,
    times: &impl ReadableTable<Key, Value>,
    key: SessionKey,
    now: UnixTime,
) -> Result<Option<StoredSession>, redb::Error> {
    let times = times.get(key.as_bytes())?.and_then(|value| Times::decode(value.value()));
    let Some(times) = times.filter(|times| times.expires > now) else { return Ok(None) };
    let Some(value) = sessions.get(key.as_bytes())? else { return Ok(None) };
    let record = Record::decode(value.value());
    Ok(record.map(|record| StoredSession::new(record.revision, record.with(&times))))
}

/// One session.
pub(super) fn load(
    database: &Database,
    key: SessionKey,
    now: UnixTime,
) -> Result<Option<StoredSession>, redb::Error> {
    let reading = database.begin_read()?;
    stored(&reading.open_table(SESSIONS)?, &reading.open_table(TIMES)?, key, now)
}

/// The sessions after `after`, in the order of their keys.
pub(super) fn list(
    database: &Database,
    of: Option<OwnerKey>,
    after: Option<SessionKey>,
    now: UnixTime,
) -> Result<Page, redb::Error> {
    let reading = database.begin_read()?;
    let mut keys = Vec::new();
    match of {
        Some(owner) => {
            let first = owner_entry(owner, after.unwrap_or(SessionKey::from_bytes([0; 16])));
            let last = owner_entry(owner, SessionKey::from_bytes([0xff; 16]));
            for entry in reading.open_table(OWNERS)?.range::<&[u8; 32]>(&first..=&last)? {
                keys.push(owned_session(entry?.0.value()));
                if keys.len() > PAGE + 1 {
                    break;
                }
            }
        }
        None => {
            let first = *after.unwrap_or(SessionKey::from_bytes([0; 16])).as_bytes();
            for entry in reading.open_table(TIMES)?.range::<&[u8; 16]>(&first..)? {
                keys.push(SessionKey::from_bytes(*entry?.0.value()));
                if keys.len() > PAGE + 1 {
                    break;
                }
            }
        }
    }
    // The first of the range may be the last of the page before.
    keys.retain(|key| Some(*key) != after);
    let is_last = keys.len() <= PAGE;
    keys.truncate(PAGE);
    let next = keys.last().filter(|_| !is_last).map(|key| Cursor::new(key.as_bytes().to_vec()));
    let (sessions, times) = (reading.open_table(SESSIONS)?, reading.open_table(TIMES)?);
    let mut page = Vec::with_capacity(keys.len());
    for key in keys {
        if let Some(stored) = stored(&sessions, &times, key, now)? {
            page.push((key, stored));
        }
    }
    Ok(Page::new(page, next))
}
