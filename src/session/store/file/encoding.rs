//! What the tables contain, as bytes.
//!
//! Numbers are little-endian, but for those in keys, which sort. A value begins with what this
//! version knows; a newer one may append to it. What follows is skipped, and kept when the
//! value is written. A change that older versions must not read needs another number of the
//! whole file's format.

use bytes::Bytes;

use super::super::identifier::{OwnerKey, Revision, SessionKey};
use super::super::stored::SessionRecord;
use crate::clock::UnixTime;

/// The version that writes a value.
const VERSION: u8 = 1;

/// A record without its times: version, owner, revision, the length of `sealed` and itself,
/// the length of `summary` and itself.
pub(super) struct Record<'a> {
    pub(super) owner: OwnerKey,
    pub(super) revision: Revision,
    pub(super) sealed: &'a [u8],
    pub(super) summary: &'a [u8],
    /// What a newer version appended.
    pub(super) appended: &'a [u8],
}

impl<'a> Record<'a> {
    pub(super) fn of(record: &'a SessionRecord, revision: Revision) -> Self {
        let (sealed, summary) = (&*record.sealed, &*record.summary);
        Self { owner: record.owner, revision, sealed, summary, appended: &[] }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let length = self.sealed.len() + self.summary.len() + self.appended.len();
        let mut value = Vec::with_capacity(1 + 16 + 8 + 4 + 4 + length);
        value.push(VERSION);
        value.extend(self.owner.as_bytes());
        value.extend(self.revision.number().to_le_bytes());
        for part in [self.sealed, self.summary] {
            value.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            value.extend(part);
        }
        value.extend(self.appended);
        value
    }

    /// `None` if it is none.
    pub(super) fn decode(value: &'a [u8]) -> Option<Self> {
        let (version, rest) = value.split_first()?;
        let (owner, rest) = rest.split_first_chunk()?;
        let (revision, rest) = rest.split_first_chunk()?;
        let (sealed, rest) = part(rest)?;
        let (summary, appended) = part(rest)?;
        (*version >= VERSION).then(|| Self {
            owner: OwnerKey::from_bytes(*owner),
            revision: Revision::from_number(u64::from_le_bytes(*revision)),
            sealed,
            summary,
            appended,
        })
    }

    pub(super) fn with(&self, times: &Times) -> SessionRecord {
        SessionRecord::new(
            self.owner,
            Bytes::copy_from_slice(self.sealed),
            Bytes::copy_from_slice(self.summary),
            times.last_used,
            times.expires,
        )
    }
}

fn part(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = value.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// The times of a session, apart from its record, so that a use rewrites little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) last_used: UnixTime,
    pub(super) expires: UnixTime,
    /// When the table of expiries has it: not after `expires`.
    pub(super) listed: UnixTime,
    /// What a newer version appended.
    pub(super) appended: Vec<u8>,
}

impl Times {
    pub(super) fn of(record: &SessionRecord) -> Self {
        let (last_used, expires) = (record.last_used, record.expires);
        Self { last_used, expires, listed: expires, appended: Vec::new() }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut value = vec![VERSION];
        for time in [self.last_used, self.expires, self.listed] {
            value.extend(time.to_le_bytes());
        }
        value.extend(&self.appended);
        value
    }

    pub(super) fn decode(value: &[u8]) -> Option<Self> {
        let (version, rest) = value.split_first()?;
        let (last_used, rest) = rest.split_first_chunk()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let (listed, appended) = rest.split_first_chunk()?;
        (*version >= VERSION).then(|| Self {
            last_used: u64::from_le_bytes(*last_used),
            expires: u64::from_le_bytes(*expires),
            listed: u64::from_le_bytes(*listed),
            appended: appended.to_vec(),
        })
    }
}

/// The key of the table of owners: it sorts the sessions of a person together.
pub(super) fn owner_entry(owner: OwnerKey, key: SessionKey) -> [u8; 32] {
    let mut entry = [0; 32];
    let (first, second) = entry.split_at_mut(16);
    first.copy_from_slice(owner.as_bytes());
    second.copy_from_slice(key.as_bytes());
    entry
}

/// The session of such a key.
pub(super) fn owned_session(entry: &[u8; 32]) -> SessionKey {
    SessionKey::from_bytes(entry.last_chunk().copied().unwrap_or_default())
}

/// The key of the table of expiries: it sorts the sessions by time.
pub(super) fn expiry_entry(expires: UnixTime, key: SessionKey) -> [u8; 24] {
    let mut entry = [0; 24];
    let (first, second) = entry.split_at_mut(8);
    first.copy_from_slice(&expires.to_be_bytes());
    second.copy_from_slice(key.as_bytes());
    entry
}

/// The session of such a key.
pub(super) fn expiring_session(entry: &[u8; 24]) -> SessionKey {
    SessionKey::from_bytes(entry.last_chunk().copied().unwrap_or_default())
}
