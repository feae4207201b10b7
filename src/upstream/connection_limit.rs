//! Limits the open connections to one endpoint, over all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts open connections. Only requests that open a connection or find none idle
/// touch it; a request on a reused connection does not.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimit {
    open: AtomicUsize,
    /// Requests that wait for an idle connection or a permit.
    waiting: AtomicUsize,
    released: Notify,
}

/// Permission for one connection, held for as long as it is open.
#[derive(Debug)]
pub(super) struct ConnectionPermit(Arc<ConnectionLimit>);

impl ConnectionLimit {
    /// A permit, unless `max` connections are open.
    pub(super) fn try_acquire(self: &Arc<Self>, max: usize) -> Option<ConnectionPermit> {
        let more = |open| (open < max).then_some(open + 1);
        self.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(ConnectionPermit(Arc::clone(self)))
    }

    /// Wakes the request that has waited longest, because a connection or a stream
    /// became available, or a connection was closed.
    pub(super) fn notify_waiting(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.released.notify_one();
        }
    }

    /// Calls `acquire` at once and after every notification, until it returns a value.
    pub(super) async fn wait_for<T>(&self, mut acquire: impl FnMut() -> Option<T>) -> T {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        loop {
            // Enabled before `acquire` runs, so that no notification after it is lost.
            let released = self.released.notified();
            tokio::pin!(released);
            released.as_mut().enable();
            if let Some(acquired) = acquire() {
                return acquired;
            }
            released.await;
        }
    }
}

impl ConnectionPermit {
    /// The limit that the permit counts towards.
    pub(super) fn limit(&self) -> &Arc<ConnectionLimit> {
        &self.0
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        self.0.notify_waiting();
    }
}
