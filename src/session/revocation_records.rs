//! The times of [`NotBefore`](super::not_before::NotBefore) as records of a store.
//!
//! A record for each hash, which is its key; `last_used` is the time. Both times of a record
//! only grow, as those of an entry do.

use bytes::Bytes;

use super::not_before::{Entry, Table};
use super::store::{Cursor, OwnerKey, SessionKey, SessionRecord, StoreAccess, StoreError};
use crate::clock::UnixTime;

/// Under which they are listed. Nothing is hidden by it, so it is the same under every secret.
const OWNER: OwnerKey = OwnerKey::from_bytes(*b"huggate revoked1");

/// Adds entries, for all processes.
pub(super) async fn add(store: &StoreAccess, entries: Table, now: UnixTime) -> Result<(), StoreError> {
    for (tag, Entry { not_before, expires }) in entries {
        let record = SessionRecord::new(OWNER, Bytes::new(), Bytes::new(), not_before, expires);
        store.put(SessionKey::from_bytes(tag), record, now).await?;
    }
    Ok(())
}

/// Every entry.
pub(super) async fn read(store: &StoreAccess, now: UnixTime) -> Result<Table, StoreError> {
    let (mut table, mut after) = (Table::new(), None::<Cursor>);
    loop {
        let page = store.list(Some(OWNER), after, now).await?;
        table.extend(page.sessions.into_iter().map(|(key, stored)| {
            let entry = Entry { not_before: stored.record.last_used, expires: stored.record.expires };
            (*key.as_bytes(), entry)
        }));
        after = page.next;
        if after.is_none() {
            return Ok(table);
        }
    }
}
