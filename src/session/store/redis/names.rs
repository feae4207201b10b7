//! The names of keys and of the channel, and how long keys last.

use crate::clock::UnixTime;
use crate::session::store::identifier::{OwnerKey, SessionKey};

/// The number of indexes that together name all sessions, by the first byte of their keys.
pub(super) const SHARDS: u16 = 256;
/// How much longer a key lasts than its session, in seconds. Gates whose clocks are a minute
/// apart then agree: none of them finds a key gone before it is expired by its own clock.
pub(super) const SLACK: u64 = 120;
/// About a hundred years. Redis refuses a time to live that overflows.
const LONGEST: u64 = 100 * 366 * 24 * 3600;

/// What all names begin with.
#[derive(Debug, Clone)]
pub(super) struct Names(pub(super) String);

impl Names {
    /// A session.
    pub(super) fn session(&self, key: SessionKey) -> Vec<u8> {
        format!("{}s:{key}", self.0).into_bytes()
    }

    /// The sessions of a person.
    pub(super) fn owner(&self, owner: OwnerKey) -> Vec<u8> {
        format!("{}o:{}", self.0, SessionKey::from_bytes(*owner.as_bytes())).into_bytes()
    }

    /// The sessions whose keys begin with this byte.
    pub(super) fn shard(&self, shard: u8) -> Vec<u8> {
        format!("{}a:{shard:02x}", self.0).into_bytes()
    }

    pub(super) fn shard_of(&self, key: SessionKey) -> Vec<u8> {
        let [shard, ..] = *key.as_bytes();
        self.shard(shard)
    }

    pub(super) fn channel(&self) -> Vec<u8> {
        format!("{}changes", self.0).into_bytes()
    }
}

/// The time to live of a key, in milliseconds.
pub(super) fn ttl_millis(expires: UnixTime, now: UnixTime) -> u64 {
    (expires.saturating_sub(now).min(LONGEST) + SLACK) * 1000
}
