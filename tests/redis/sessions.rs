//! Sessions for the tests, and how they wait.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use huggate::clock::UnixTime;
use huggate::store::{
    OwnerKey, RedisSettings, RedisStore, Revision, SessionKey, SessionRecord, SessionStore, StoreError,
};
use tokio::time::{Instant, sleep};

/// The tests' time. The server's own clock counts only for how long keys last.
pub(crate) const NOW: UnixTime = 1_790_000_000;
pub(crate) const LASTS: u64 = 600;

pub(crate) fn store(settings: &RedisSettings) -> RedisStore {
    RedisStore::new(settings).unwrap()
}

/// The key with this number; the shards follow each other.
pub(crate) fn key(number: u32) -> SessionKey {
    let mut bytes = [0; 16];
    bytes[0] = number.to_le_bytes()[0];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    SessionKey::from_bytes(bytes)
}

pub(crate) fn owner(number: u32) -> OwnerKey {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    OwnerKey::from_bytes(bytes)
}

pub(crate) fn record(number: u32) -> SessionRecord {
    record_of(owner(number), "sealed")
}

pub(crate) fn record_of(owner: OwnerKey, sealed: &str) -> SessionRecord {
    let (sealed, summary) = (Bytes::from(sealed.to_owned()), Bytes::from_static(b"summary"));
    SessionRecord::new(owner, sealed, summary, NOW, NOW + LASTS)
}

/// What caused an error, as the log shows it.
pub(crate) fn causes(error: &StoreError) -> String {
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("{error}: "));
        cause = error.source();
    }
    text
}

/// Waits until `check` holds.
pub(crate) async fn until(limit: Duration, what: &str, mut check: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !check().await {
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the store answers.
pub(crate) async fn until_it_answers(store: &RedisStore, limit: Duration) {
    until(limit, "the store answers", async || store.load(key(u32::MAX), NOW).await.is_ok()).await;
}

/// The revision and content of a session.
pub(crate) async fn content(store: &RedisStore, key: SessionKey) -> Option<(Revision, Bytes)> {
    let stored = store.load(key, NOW).await.unwrap();
    stored.map(|stored| (stored.revision, stored.record.sealed))
}
