//! The state of one connection: its phase, and when it last made progress.
//!
//! hyper's header timer also runs while a connection is idle, and HTTP/2 has none. Here
//! each connection records what it does in a few atomics, and one task checks all
//! connections ([`timeouts`](super::timeouts)): requests need no timer, lock or clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use super::close_signal::CloseSignal;
use super::coarse_clock::CoarseClock;
use super::rapid_reset::RapidResetDetector;

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Waiting for the head of a request, or for the rest of it.
    Headers,
    /// Requests are in flight.
    Busy,
    /// Waiting for the next request.
    Idle,
    /// A tunnel, which has timeouts of its own; or closed.
    Tunnel,
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct ConnectionState {
    clock: Arc<CoarseClock>,
    /// A [`Phase`].
    phase: AtomicU8,
    /// When the phase began; while busy, when bytes last moved.
    last_activity: AtomicU64,
    /// When a request last began or ended, or a frame of a response was sent.
    last_progress: AtomicU64,
    /// With HTTP/1 the bytes themselves start and end phases.
    http1: AtomicBool,
    /// Requests in flight; more than one only with HTTP/2.
    open_requests: AtomicU32,
    rapid_reset: RapidResetDetector,
    /// The request that hyper parses next has a raw `#` in its target.
    raw_fragment: AtomicBool,
    /// No bytes have been sent since [`expect_continue`](Self::expect_continue).
    silent: AtomicBool,
    close: CloseSignal,
    /// How many connections the worker has, this one included.
    load: Arc<AtomicUsize>,
}

impl ConnectionState {
    pub(super) fn new(clock: Arc<CoarseClock>, load: Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self {
            phase: AtomicU8::new(Phase::Headers as u8),
            last_activity: AtomicU64::new(clock.now()),
            last_progress: AtomicU64::new(0),
            clock,
            http1: AtomicBool::new(true),
            open_requests: AtomicU32::new(0),
            rapid_reset: RapidResetDetector::default(),
            raw_fragment: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            close: CloseSignal::default(),
            load,
        }
    }

    /// Asks the connection to close.
    pub(super) fn close_signal(&self) -> &CloseSignal {
        &self.close
    }

    // ---- recorded by the connection ----

    /// The connection speaks HTTP/2: only requests start and end phases.
    pub(super) fn set_http2(&self) {
        self.http1.store(false, Ordering::Relaxed);
    }

    /// The head of a request is complete.
    pub(super) fn begin_request(&self) {
        self.open_requests.fetch_add(1, Ordering::Relaxed);
        self.rapid_reset.record_request();
        self.enter(Phase::Busy);
    }

    /// A response is complete; or, if not `complete`, the client has canceled the
    /// request.
    pub(super) fn end_request(&self, complete: bool) {
        if !complete
            && let Some(resets) = self.rapid_reset.record_reset()
            && !self.http1.load(Ordering::Relaxed)
            && !self.close.is_aborted()
        {
            tracing::info!(resets, "closing a connection: the client cancels most of its requests");
            self.close.abort();
        }
        if self.open_requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.enter(Phase::Idle);
        }
    }

    /// The request that hyper parses next has a raw `#` in its target.
    pub(super) fn set_raw_fragment(&self) {
        self.raw_fragment.store(true, Ordering::Relaxed);
    }

    /// Whether the request that hyper has just parsed had one.
    pub(super) fn take_raw_fragment(&self) -> bool {
        self.raw_fragment.load(Ordering::Relaxed) && self.raw_fragment.swap(false, Ordering::Relaxed)
    }

    /// Bytes were received.
    pub(super) fn received(&self) {
        let phase = self.phase_with(Ordering::Relaxed);
        if phase == Phase::Busy {
            self.last_activity.store(self.clock.now(), Ordering::Relaxed);
            return;
        }
        if phase == Phase::Idle && self.http1.load(Ordering::Relaxed) {
            self.enter(Phase::Headers);
        }
    }

    /// A request has arrived whose client waits for 100 before it sends the body.
    pub(super) fn expect_continue(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// Whether nothing was sent since: the client has not been asked for the body.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// Bytes were sent. In the idle phase they are the rest of a response that a slow
    /// client is still reading.
    pub(super) fn sent(&self) {
        self.silent.store(false, Ordering::Relaxed);
        if self.phase_with(Ordering::Relaxed) != Phase::Headers {
            self.last_activity.store(self.clock.now(), Ordering::Relaxed);
        }
    }

    /// The connection is closed, or has become a tunnel.
    pub(super) fn leave_http(&self) {
        self.enter(Phase::Tunnel);
    }

    /// A frame of a response was produced.
    pub(super) fn record_progress(&self) {
        self.last_progress.store(self.clock.now(), Ordering::Relaxed);
    }

    fn enter(&self, phase: Phase) {
        self.record_progress();
        self.last_activity.store(self.clock.now(), Ordering::Relaxed);
        // Released after the time, so that a reader of the phase sees its time.
        self.phase.store(phase as u8, Ordering::Release);
    }

    // ---- read by the registry ----

    pub(super) fn phase(&self) -> Phase {
        self.phase_with(Ordering::Acquire)
    }

    /// How many requests there were.
    pub(super) fn requests(&self) -> u32 {
        self.rapid_reset.requests()
    }

    fn phase_with(&self, ordering: Ordering) -> Phase {
        match self.phase.load(ordering) {
            0 => Phase::Headers,
            1 => Phase::Busy,
            2 => Phase::Idle,
            _ => Phase::Tunnel,
        }
    }

    /// The phase, and how long nothing has happened in it.
    pub(super) fn inactive(&self) -> (Phase, Duration) {
        let phase = self.phase();
        (phase, self.clock.since(self.last_activity.load(Ordering::Relaxed)))
    }

    /// How long the connection has been in `phase` without activity, if it is.
    pub(super) fn inactive_in(&self, phase: Phase) -> Option<Duration> {
        let (current, inactive) = self.inactive();
        (current == phase).then_some(inactive)
    }

    /// How long none of the requests on an HTTP/2 connection has made progress. Bytes do
    /// not count: PING frames may keep them moving forever.
    pub(super) fn without_progress(&self) -> Option<Duration> {
        let is_http2 = !self.http1.load(Ordering::Relaxed);
        let is_busy = self.phase_with(Ordering::Relaxed) == Phase::Busy;
        let since = self.last_progress.load(Ordering::Relaxed);
        (is_busy && is_http2).then(|| self.clock.since(since))
    }
}

impl Drop for ConnectionState {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http2() -> (ConnectionState, Arc<CoarseClock>) {
        let clock = Arc::new(CoarseClock::default());
        let connection = ConnectionState::new(Arc::clone(&clock), Arc::default());
        connection.set_http2();
        (connection, clock)
    }

    #[test]
    fn with_http2_only_requests_start_and_end_phases() {
        let (connection, clock) = http2();
        connection.begin_request();
        connection.begin_request();
        connection.end_request(true);
        assert_eq!(connection.inactive_in(Phase::Idle), None, "one request is still in flight");
        connection.end_request(true);
        clock.set(999);
        connection.received();
        let idle = connection.inactive_in(Phase::Idle);
        assert_eq!(idle, Some(Duration::from_millis(999)), "PING frames do not keep a connection open");
    }

    #[test]
    fn rapid_reset_aborts_the_connection() {
        let (connection, _) = http2();
        for _ in 0..200 {
            connection.begin_request();
            connection.end_request(false);
        }
        assert!(!connection.close_signal().is_aborted());
        connection.begin_request();
        connection.end_request(false);
        assert!(connection.close_signal().is_aborted());
    }
}
