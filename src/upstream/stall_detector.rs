//! Detects transfers on which no data moves, and records data that moves as use of the
//! session.
//!
//! Recording progress is a relaxed store or two; the deadline is only computed when a timer
//! has run out.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::gate::Grant;

/// Why a request body ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFailure {
    /// It is longer than `limits.body_bytes`.
    TooLarge,
    /// The client disconnected or broke the framing.
    Client,
}

/// When data last moved, and which side has to send next.
#[derive(Debug)]
pub(super) struct StallDetector {
    created: Instant,
    /// Milliseconds from `created` to the last progress.
    last_progress: AtomicU64,
    /// Whether the next chunk of the request body has to come from the client.
    waiting_for_client: AtomicBool,
    /// A [`BodyFailure`], counted from one; zero is none.
    failure: AtomicU8,
    /// The request body has been sent, or is not wanted any more.
    closed: AtomicBool,
    body_waker: AtomicWaker,
    /// Whose session is in use while data moves.
    grant: Grant,
}

impl StallDetector {
    pub(super) fn new(grant: Grant) -> Self {
        Self {
            created: Instant::now(),
            last_progress: AtomicU64::new(0),
            waiting_for_client: AtomicBool::new(false),
            failure: AtomicU8::new(0),
            closed: AtomicBool::new(false),
            body_waker: AtomicWaker::new(),
            grant,
        }
    }

    /// Records that data moved now.
    pub(super) fn record_progress(&self) {
        let elapsed = u64::try_from(self.created.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_progress.store(elapsed, Ordering::Relaxed);
        self.grant.record_use();
    }

    /// The permission for the transfer.
    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Records whether the client has to send next.
    pub(super) fn set_waiting_for_client(&self, waiting: bool) {
        self.waiting_for_client.store(waiting, Ordering::Relaxed);
    }

    pub(super) fn is_waiting_for_client(&self) -> bool {
        self.waiting_for_client.load(Ordering::Relaxed)
    }

    /// Records why the request body fails. hyper reports only a broken connection then.
    pub(super) fn fail(&self, failure: BodyFailure) {
        self.failure.store(failure as u8 + 1, Ordering::Relaxed);
    }

    pub(super) fn failure(&self) -> Option<BodyFailure> {
        match self.failure.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(BodyFailure::TooLarge),
            _ => Some(BodyFailure::Client),
        }
    }

    /// Ends the request body: no more of it is read.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.body_waker.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Ends the request body once no data has moved for `limit`.
    pub(super) async fn close_when_stalled(&self, limit: Duration) {
        self.record_progress();
        self.stalled(limit).await;
        self.close();
    }

    /// Wakes `waker` when the request body is closed.
    pub(super) fn register_body(&self, waker: &Waker) {
        self.body_waker.register(waker);
    }

    /// When the transfer counts as stalled, unless data moves before that.
    pub(super) fn deadline(&self, limit: Duration) -> Instant {
        self.created + Duration::from_millis(self.last_progress.load(Ordering::Relaxed)) + limit
    }

    /// Waits until no data has moved for `limit`. The timer is only reset after it has
    /// run out.
    pub(super) async fn stalled(&self, limit: Duration) {
        let sleep = tokio::time::sleep_until(self.deadline(limit));
        tokio::pin!(sleep);
        loop {
            sleep.as_mut().await;
            let deadline = self.deadline(limit);
            if deadline <= Instant::now() {
                return;
            }
            sleep.as_mut().reset(deadline);
        }
    }

    /// The output of `future`, or `None` once no data has moved for `limit`.
    pub(super) async fn run_until_stalled<T>(
        &self,
        future: impl Future<Output = T>,
        limit: Duration,
    ) -> Option<T> {
        tokio::select! {
            biased;
            output = future => Some(output),
            () = self.stalled(limit) => None,
        }
    }
}
