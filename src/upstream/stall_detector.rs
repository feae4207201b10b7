//! When something moved last: noted cheaply, looked at rarely.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

/// Why a request's body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It was longer than the limit.
    TooLarge,
    /// The client left, or broke the framing.
    Client,
}

/// When a stream moved last, and whom it waits for.
#[derive(Debug)]
pub(super) struct StallDetector {
    began: Instant,
    /// Milliseconds since then.
    moved: AtomicU64,
    /// The client's next piece is awaited.
    of_client: AtomicBool,
    /// A [`Fault`], counted from one.
    fault: AtomicU8,
    /// The request's body is over, or nobody wants it any more.
    over: AtomicBool,
    reader: AtomicWaker,
}

impl StallDetector {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            moved: AtomicU64::new(0),
            of_client: AtomicBool::new(false),
            fault: AtomicU8::new(0),
            over: AtomicBool::new(false),
            reader: AtomicWaker::new(),
        }
    }

    /// Something moves now.
    pub(super) fn note(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(since, Ordering::Relaxed);
    }

    /// Whether the client is the one to go on.
    pub(super) fn await_client(&self, awaited: bool) {
        self.of_client.store(awaited, Ordering::Relaxed);
    }

    pub(super) fn awaits_client(&self) -> bool {
        self.of_client.load(Ordering::Relaxed)
    }

    /// The request's body ends here, and whose connection it breaks is told nothing
    /// of the reason.
    pub(super) fn end(&self, fault: Fault) {
        self.fault.store(fault as u8 + 1, Ordering::Relaxed);
    }

    /// Nothing more of the request's body is wanted.
    pub(super) fn finish(&self) {
        self.over.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// The same, as soon as nothing has moved for `limit`.
    pub(super) async fn end_once_stalled(&self, limit: Duration) {
        self.note();
        self.stalled(limit).await;
        self.finish();
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// From now on `waker` is woken when nothing more is wanted.
    pub(super) fn listen(&self, waker: &Waker) {
        self.reader.register(waker);
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        match self.fault.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Fault::TooLarge),
            _ => Some(Fault::Client),
        }
    }

    pub(super) fn due(&self, limit: Duration) -> Instant {
        self.began + Duration::from_millis(self.moved.load(Ordering::Relaxed)) + limit
    }

    /// Waits until nothing has moved for `limit`. One timer, set again only when it
    /// has run out.
    pub(super) async fn stalled(&self, limit: Duration) {
        let sleep = tokio::time::sleep_until(self.due(limit));
        tokio::pin!(sleep);
        loop {
            sleep.as_mut().await;
            let due = self.due(limit);
            if due <= Instant::now() {
                return;
            }
            sleep.as_mut().reset(due);
        }
    }

    /// Waits for `answer`, but not longer than `limit` after something moved last.
    pub(super) async fn watch<T>(&self, answer: impl Future<Output = T>, limit: Duration) -> Option<T> {
        tokio::select! {
            biased;
            answer = answer => Some(answer),
            () = self.stalled(limit) => None,
        }
    }
}
