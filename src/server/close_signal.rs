//! Tells a connection's task to close, gracefully or at once.

use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

const NONE: u8 = 0;
/// Finish the requests in flight, then close.
const GRACEFUL: u8 = 1;
/// Close at once.
const ABORT: u8 = 2;

/// A signal from the registry to one connection.
#[derive(Debug, Default)]
pub(super) struct CloseSignal {
    signal: AtomicU8,
    waker: AtomicWaker,
}

impl CloseSignal {
    /// Closes the connection once its requests in flight are complete.
    pub(super) fn close_gracefully(&self) {
        // An abort is not taken back.
        let _ = self.signal.compare_exchange(NONE, GRACEFUL, Ordering::Release, Ordering::Relaxed);
        self.waker.wake();
    }

    /// Closes the connection at once.
    pub(super) fn abort(&self) {
        self.signal.store(ABORT, Ordering::Release);
        self.waker.wake();
    }

    /// Wakes `waker` at the next signal.
    pub(super) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Whether the connection is to close, in either way.
    pub(super) fn is_closing(&self) -> bool {
        self.signal.load(Ordering::Acquire) != NONE
    }

    pub(super) fn is_aborted(&self) -> bool {
        self.signal.load(Ordering::Acquire) == ABORT
    }
}
