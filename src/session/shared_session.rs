//! The state that all requests of a session share in this process: when it was last used,
//! whether it has ended, its snapshot, and the permit to revalidate it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::kept_state::KeptState;
use super::snapshot::SessionSnapshot;
use crate::clock::{UnixMillis, UnixTime};

/// The longest pause between two requests to the provider about a session, in seconds.
const LONGEST_PAUSE: u64 = 300;

/// A session in this process. All cached copies of the session share it.
#[derive(Debug)]
pub(crate) struct SharedSession {
    ended: AtomicBool,
    end: Notify,
    /// The last request with any of its cookies, or the last frame of an open stream. A
    /// cookie says only what was known when it was encrypted.
    last_use: AtomicU64,
    snapshot: ArcSwap<SessionSnapshot>,
    changed: Notify,
    /// Held during a request to the provider about the session.
    revalidation: Arc<tokio::sync::Mutex<()>>,
    /// No requests to the provider before this time, since the last one failed.
    not_before: AtomicU64,
    /// The record in a server-side store.
    pub(super) kept: Option<KeptState>,
}

/// The permit to revalidate a session. There is one per session.
#[derive(Debug)]
pub(crate) struct RevalidationPermit(
    #[expect(dead_code, reason = "held, not read")] tokio::sync::OwnedMutexGuard<()>,
);

impl SharedSession {
    pub(super) fn new(snapshot: SessionSnapshot, kept: Option<KeptState>) -> Self {
        Self {
            ended: AtomicBool::new(false),
            end: Notify::new(),
            last_use: AtomicU64::new(snapshot.session.seen.saturating_mul(1000)),
            snapshot: ArcSwap::from_pointee(snapshot),
            changed: Notify::new(),
            revalidation: Arc::default(),
            not_before: AtomicU64::new(0),
            kept,
        }
    }

    /// The current snapshot.
    pub(super) fn snapshot(&self) -> Arc<SessionSnapshot> {
        self.snapshot.load_full()
    }

    /// Replaces the snapshot and notifies the tasks that wait for a change.
    pub(super) fn update(&self, snapshot: SessionSnapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.changed.notify_waiters();
    }

    /// Replaces `before` by the same content, rendered by other settings, unless it was
    /// replaced already.
    pub(super) fn replace(&self, before: &Arc<SessionSnapshot>, after: &Arc<SessionSnapshot>) {
        self.snapshot.compare_and_swap(before, Arc::clone(after));
    }

    /// Completes when the snapshot is replaced after this call.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// The permit to revalidate, unless it is taken.
    pub(crate) fn try_acquire_revalidation(&self) -> Option<RevalidationPermit> {
        Arc::clone(&self.revalidation).try_lock_owned().ok().map(RevalidationPermit)
    }

    /// The permit to revalidate, once it is free.
    pub(crate) async fn acquire_revalidation(&self) -> RevalidationPermit {
        RevalidationPermit(Arc::clone(&self.revalidation).lock_owned().await)
    }

    /// Seconds until the next request to the provider is allowed. A time further in the future
    /// than any pause was set before the clock was turned back.
    pub(crate) fn pause(&self, now: UnixTime) -> u64 {
        let left = self.not_before.load(Ordering::Relaxed).saturating_sub(now);
        if left <= LONGEST_PAUSE { left } else { 0 }
    }

    /// Prevents requests to the provider until then.
    pub(crate) fn pause_until(&self, then: UnixTime) {
        self.not_before.store(then, Ordering::Relaxed);
    }

    /// When the session was last used, as far as this process knows.
    pub(super) fn last_use(&self) -> UnixMillis {
        self.last_use.load(Ordering::Relaxed)
    }

    /// Records a use, and returns the time of the one before. Called for every frame:
    /// it takes no lock, and stores nothing twice in a millisecond, so that threads do not
    /// contend for the cache line.
    pub(super) fn record_use(&self, now: UnixMillis) -> UnixMillis {
        let before = self.last_use();
        if before < now {
            self.last_use.store(now, Ordering::Relaxed);
        }
        before
    }

    /// Whether the session was ended in this process.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits until the session is ended in this process.
    pub(crate) async fn ended(&self) {
        let notified = self.end.notified();
        if !self.has_ended() {
            notified.await;
        }
    }

    pub(super) fn finish(&self) {
        self.ended.store(true, Ordering::Release);
        self.end.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests::{session, snapshot};

    #[test]
    fn a_pause_from_before_the_clock_was_turned_back_is_over() {
        let shared = SharedSession::new(snapshot(session()), None);
        shared.pause_until(10_300);
        for (now, expected) in [(9_999, 0), (10_000, 300), (10_299, 1), (10_300, 0), (0, 0)] {
            assert_eq!(shared.pause(now), expected, "{now}");
        }
    }
}
