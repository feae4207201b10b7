//! What all requests of a session share in this process: whether it has ended,
//! what is known of it, and who asks the provider about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::snapshot::SessionSnapshot;
use crate::clock::UnixTime;

/// A session in this process: whether it has ended, and what is known of it. Shared
/// by everything opened from it.
#[derive(Debug)]
pub(crate) struct SharedSession {
    ended: AtomicBool,
    end: Notify,
    snapshot: ArcSwap<SessionSnapshot>,
    changed: Notify,
    /// Held by whoever asks the provider about the session.
    asking: Arc<tokio::sync::Mutex<()>>,
    /// No question before, since the last one was not answered.
    not_before: AtomicU64,
}

/// The right to ask the provider about a session: nobody else does meanwhile.
#[derive(Debug)]
pub(crate) struct RevalidationPermit(
    #[expect(dead_code, reason = "held, not read")] tokio::sync::OwnedMutexGuard<()>,
);

impl SharedSession {
    pub(super) fn new(snapshot: SessionSnapshot) -> Self {
        Self {
            ended: AtomicBool::new(false),
            end: Notify::new(),
            snapshot: ArcSwap::from_pointee(snapshot),
            changed: Notify::new(),
            asking: Arc::default(),
            not_before: AtomicU64::new(0),
        }
    }

    /// What is known of the session.
    pub(super) fn snapshot(&self) -> Arc<SessionSnapshot> {
        self.snapshot.load_full()
    }

    /// Takes in what became snapshot, and tells whoever waits for it.
    pub(super) fn update(&self, snapshot: SessionSnapshot) {
        self.snapshot.store(Arc::new(snapshot));
        self.changed.notify_waiters();
    }

    /// Is ready when something else is snapshot than at the time of this call.
    pub(crate) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// The right to ask the provider now, unless somebody else has it.
    pub(crate) fn try_acquire_revalidation(&self) -> Option<RevalidationPermit> {
        Arc::clone(&self.asking).try_lock_owned().ok().map(RevalidationPermit)
    }

    /// The right to ask the provider, once whoever has it is done.
    pub(crate) async fn acquire_revalidation(&self) -> RevalidationPermit {
        RevalidationPermit(Arc::clone(&self.asking).lock_owned().await)
    }

    /// How many seconds are left until the provider may be asked again.
    pub(crate) fn pause(&self, now: UnixTime) -> u64 {
        self.not_before.load(Ordering::Relaxed).saturating_sub(now)
    }

    /// Asks the provider nothing until then.
    pub(crate) fn pause_until(&self, then: UnixTime) {
        self.not_before.store(then, Ordering::Relaxed);
    }

    /// Whether the session was ended here.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Waits until the session is ended here.
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
