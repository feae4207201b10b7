//! A session as the value of a key.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the version of this layout, 1 |
//! | 8 | revision |
//! | 8 | last use, in seconds since 1970 |
//! | 8 | expiry, likewise |
//! | 16 | owner |
//! | 4, then as many | summary |
//! | 4, then as many | the sealed session |
//! | the rest | what a newer version adds; it is skipped |
//!
//! Numbers are big-endian, so that the scripts compare them byte by byte.

use bytes::{Buf, Bytes};

use crate::clock::UnixTime;
use crate::session::store::identifier::{OwnerKey, Revision};
use crate::session::store::stored::{SessionRecord, StoredSession};

pub(super) const VERSION: u8 = 1;
const OWNER: usize = 16;

/// The value for a session.
pub(super) fn encode(revision: Revision, record: &SessionRecord) -> Vec<u8> {
    let mut value = Vec::with_capacity(49 + record.summary.len() + record.sealed.len());
    value.push(VERSION);
    value.extend(revision.number().to_be_bytes());
    value.extend(number(record.last_used));
    value.extend(number(record.expires));
    value.extend(tail(record));
    value
}

/// What an update replaces whatever the times are: all from the owner on.
pub(super) fn tail(record: &SessionRecord) -> Vec<u8> {
    let mut value = Vec::with_capacity(24 + record.summary.len() + record.sealed.len());
    value.extend(record.owner.as_bytes());
    for part in [&record.summary, &record.sealed] {
        value.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        value.extend_from_slice(part);
    }
    value
}

pub(super) fn number(number: UnixTime) -> [u8; 8] {
    number.to_be_bytes()
}

/// The session of a value; `None` if it is no such value, or one of a newer version.
pub(super) fn decode(value: Vec<u8>) -> Option<StoredSession> {
    let mut value = Bytes::from(value);
    if value.try_get_u8().ok()? != VERSION {
        return None;
    }
    let revision = Revision::from_number(value.try_get_u64().ok()?);
    let last_used = value.try_get_u64().ok()?;
    let expires = value.try_get_u64().ok()?;
    let owner = owner(value.get(..OWNER)?)?;
    value.advance(OWNER);
    let summary = part(&mut value, SessionRecord::MAX_SUMMARY)?;
    let sealed = part(&mut value, SessionRecord::MAX_SEALED)?;
    Some(StoredSession::new(revision, SessionRecord::new(owner, sealed, summary, last_used, expires)))
}

pub(super) fn owner(bytes: &[u8]) -> Option<OwnerKey> {
    bytes.try_into().ok().map(OwnerKey::from_bytes)
}

fn part(value: &mut Bytes, limit: usize) -> Option<Bytes> {
    let length = usize::try_from(value.try_get_u32().ok()?).ok()?;
    (length <= limit && length <= value.len()).then(|| value.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> SessionRecord {
        let (sealed, summary) = (Bytes::from_static(b"sealed"), Bytes::from_static(b"summary"));
        SessionRecord::new(OwnerKey::from_bytes([3; 16]), sealed, summary, 5, 6)
    }

    #[test]
    fn a_record_is_decoded_as_it_was_with_whatever_follows() {
        let mut value = encode(Revision::from_number(7), &record());
        let stored = StoredSession::new(Revision::from_number(7), record());
        assert_eq!(decode(value.clone()), Some(stored.clone()));
        value.extend(b"what a newer version adds");
        assert_eq!(decode(value), Some(stored));
    }

    #[test]
    fn the_layout_of_this_version_stays() {
        let value = encode(Revision::FIRST, &record());
        let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 6];
        expected.extend([3; 16]);
        expected.extend(b"\0\0\0\x07summary\0\0\0\x06sealed");
        assert_eq!(value, expected);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let value = encode(Revision::FIRST, &record());
        for length in 0..value.len() {
            assert_eq!(decode(value[..length].to_vec()), None, "{length} bytes");
        }
        let mut newer = value.clone();
        newer[0] = VERSION + 1;
        assert_eq!(decode(newer), None);
        let mut endless = value;
        endless[41..45].fill(0xff);
        assert_eq!(decode(endless), None);
    }
}
