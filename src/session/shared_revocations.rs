//! Where the times of [`NotBefore`](super::not_before::NotBefore) are kept for other processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::not_before::{NotBefore, Table};
use super::revocation_file::{FileState, RevocationFile};
#[cfg(feature = "redis-store")]
use super::revocation_records as records;
use super::settings::{RevocationSettings, SessionSettings};
#[cfg(feature = "redis-store")]
use super::store::{StoreAccess, StoreLocation};
use super::store::{StoreError, StoreOpenError};
use crate::clock::{Clock, UnixTime};

/// How often a file is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How far the clocks of machines that share a Redis may be apart, in seconds.
#[cfg(feature = "redis-store")]
const CLOCKS_APART: u64 = 60;

/// What other processes read and write as well.
pub(super) struct SharedRevocations {
    kind: Kind,
    /// Whether it has been read.
    read: AtomicBool,
    failed: AtomicBool,
    /// Whether a task follows it.
    followed: AtomicBool,
}

enum Kind {
    File(RevocationFile),
    #[cfg(feature = "redis-store")]
    Store(Arc<StoreAccess>),
}

/// What was read last.
#[derive(Debug, Default)]
pub(super) struct Seen(FileState);

impl SharedRevocations {
    /// What `settings` name; `None` if revocations stay in this process.
    ///
    /// # Errors
    /// The file is none of revocations.
    pub(super) fn open(
        settings: &SessionSettings,
        not_before: &NotBefore,
        clock: &Clock,
    ) -> Result<Option<Self>, StoreOpenError> {
        let (kind, read) = match &settings.revocations {
            RevocationSettings::InProcess => return Ok(None),
            RevocationSettings::File(path) => {
                let file = RevocationFile::new(path.clone());
                not_before.merge(&file.read()?, clock.now());
                (Kind::File(file), true)
            }
            #[cfg(feature = "redis-store")]
            RevocationSettings::Redis(redis) => {
                let store = StoreLocation::Redis(redis.clone()).open(clock)?;
                (Kind::Store(StoreAccess::new(store, redis.timeout)), false)
            }
        };
        Ok(Some(Self {
            kind,
            read: AtomicBool::new(read),
            failed: AtomicBool::new(false),
            followed: AtomicBool::new(false),
        }))
    }

    /// Whether nobody follows it yet; the caller does from now on.
    pub(super) fn begin_to_follow(&self) -> bool {
        !self.followed.swap(true, Ordering::Relaxed)
    }

    /// Whether a task follows it.
    pub(super) fn is_followed(&self) -> bool {
        self.followed.load(Ordering::Relaxed)
    }

    /// Lets the next one follow.
    pub(super) fn stop_following(&self) {
        self.followed.store(false, Ordering::Relaxed);
    }

    /// Adds entries, for all processes.
    ///
    /// # Errors
    /// They were not written.
    pub(super) async fn add(&self, entries: Table, now: UnixTime) -> Result<(), StoreError> {
        match &self.kind {
            Kind::File(file) => {
                let file = file.clone();
                let added = spawn_blocking(move || file.add(&entries, now)).await;
                added.unwrap_or_else(|error| Err(StoreError::unavailable(error)))
            }
            #[cfg(feature = "redis-store")]
            Kind::Store(store) => records::add(store, entries, now).await,
        }
    }

    /// How many seconds ahead the clock may be by which another process dates its sessions.
    pub(super) fn clocks_apart(&self) -> u64 {
        match &self.kind {
            // One machine.
            Kind::File(_) => 0,
            #[cfg(feature = "redis-store")]
            Kind::Store(_) => CLOCKS_APART,
        }
    }

    /// Takes over what others have written.
    ///
    /// # Errors
    /// It cannot be read.
    pub(super) async fn refresh(&self, not_before: &NotBefore, now: UnixTime) -> Result<(), StoreError> {
        if let Some((_, table)) = self.look(None, now).await? {
            not_before.merge(&table, now);
        }
        Ok(())
    }

    /// Whether what others have written is known. Until then no session of a cookie counts.
    pub(super) fn is_known(&self) -> bool {
        self.read.load(Ordering::Acquire)
    }

    /// Waits a while, and takes over what others have written since.
    pub(super) async fn follow(self: &Arc<Self>, not_before: &NotBefore, seen: &mut Seen, now: UnixTime) {
        if self.is_known() {
            tokio::time::sleep(LOOK).await;
        }
        match self.look(seen.0, now).await {
            Ok(None) => {}
            Ok(Some((state, table))) => {
                seen.0 = state;
                not_before.merge(&table, now);
                self.read.store(true, Ordering::Release);
                self.failed.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                tokio::time::sleep(LOOK).await;
                // Once, and not four times a second.
                if !self.failed.swap(true, Ordering::Relaxed) {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(
                        error = %crate::causes::Causes(error),
                        "session.revocations cannot be read: sessions that are ended elsewhere go on here",
                    );
                }
            }
        }
    }

    /// What others have written; `None` if a file has not changed since it was in the state `before`.
    async fn look(&self, before: FileState, now: UnixTime) -> Result<Option<(FileState, Table)>, StoreError> {
        match &self.kind {
            Kind::File(file) => {
                let (file, _) = (file.clone(), now);
                let looked = spawn_blocking(move || {
                    let state = file.state();
                    if state == before { Ok(None) } else { Ok(Some((state, file.read()?))) }
                });
                looked.await.unwrap_or_else(|error| Err(StoreError::unavailable(error)))
            }
            #[cfg(feature = "redis-store")]
            Kind::Store(store) => Ok(Some((None, records::read(store, now).await?))),
        }
    }

    /// Whether it could be read last.
    pub(super) fn is_up(&self) -> bool {
        self.is_known() && !self.failed.load(Ordering::Relaxed)
    }
}
