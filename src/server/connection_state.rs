//! What a connection is doing, for how long it may, and how it is told to end.
//!
//! hyper's own timer for headers also runs while a connection waits for its next
//! request, and HTTP/2 has none. Here every connection notes what it does in a few
//! atomics, and one task looks at all of them ([`ConnectionRegistry`](super::connection_registry)): no
//! timer, no lock and no clock on a request's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Duration;

use futures_util::task::AtomicWaker;

/// No request yet, or part of one: its headers must come in time.
const HEADERS: u8 = 0;
/// A request is being answered, for as long as it moves.
const BUSY: u8 = 1;
/// Waiting for the next request.
const IDLE: u8 = 2;
/// A tunnel now, which has its own times.
const TUNNEL: u8 = 3;

/// Nothing is asked of the connection.
const GO_ON: u8 = 0;
/// It answers what it has begun and ends.
const STOP: u8 = 1;
/// It ends now.
const CUT: u8 = 2;

/// A client that takes back more requests than this on one connection, and more
/// than half of them, is not after their answers (HTTP/2 rapid reset,
/// CVE-2023-44487).
const RESETS: u32 = 200;

/// A clock that the registry's task sets a few times a second.
#[derive(Debug, Default)]
pub(super) struct CoarseClock(AtomicU64);

impl CoarseClock {
    /// Milliseconds since the server began, as of the last look.
    pub(super) fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }
}

/// How long a connection may be in each of its phases.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) header: Duration,
    pub(super) idle: Duration,
    pub(super) stream: Duration,
}

/// What one connection is doing.
#[derive(Debug)]
pub(super) struct ConnectionState {
    clock: Arc<CoarseClock>,
    phase: AtomicU8,
    /// When the phase began, and while it is busy: when bytes moved last.
    since: AtomicU64,
    signal: AtomicU8,
    waker: AtomicWaker,
    /// Requests that are being answered; more than one with HTTP/2.
    open: AtomicU32,
    requests: AtomicU32,
    resets: AtomicU32,
    /// When a request began or ended last, or a piece of a response was taken.
    progressed: AtomicU64,
    /// Whether the bytes are HTTP/1, whose phases they tell.
    http1: AtomicBool,
    /// The request line that came last has a raw `#` in its target.
    fragment: AtomicBool,
    /// Nothing came on this connection yet.
    untouched: AtomicBool,
    /// Nothing was sent since [`listen_for_continue`](Self::listen_for_continue).
    silent: AtomicBool,
    /// How many connections the worker has; this is one of them.
    load: Arc<AtomicUsize>,
}

impl ConnectionState {
    pub(super) fn new(clock: Arc<CoarseClock>, load: Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self {
            phase: AtomicU8::new(HEADERS),
            since: AtomicU64::new(clock.now()),
            clock,
            signal: AtomicU8::new(GO_ON),
            waker: AtomicWaker::new(),
            open: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            resets: AtomicU32::new(0),
            progressed: AtomicU64::new(0),
            http1: AtomicBool::new(true),
            fragment: AtomicBool::new(false),
            untouched: AtomicBool::new(true),
            silent: AtomicBool::new(false),
            load,
        }
    }

    /// The connection speaks HTTP/2: its bytes tell no phases, requests do.
    pub(super) fn is_http2(&self) {
        self.http1.store(false, Ordering::Relaxed);
    }

    // ---- what the connection tells ----

    /// A request's headers are complete.
    pub(super) fn begin(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.enter(BUSY);
    }

    /// A request's response is over, or nobody waits for it any more.
    pub(super) fn finish(&self, complete: bool) {
        if !complete {
            let resets = self.resets.fetch_add(1, Ordering::Relaxed) + 1;
            let is_http1 = self.http1.load(Ordering::Relaxed);
            if !is_http1
                && resets > RESETS
                && resets > self.requests.load(Ordering::Relaxed) / 2
                && !self.is_cut()
            {
                tracing::info!(resets, "a client takes back most of its requests; its connection is closed");
                self.cut();
            }
        }
        if self.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.enter(IDLE);
        }
    }

    /// Whether the request that just came had a raw `#` in its target. The parser
    /// cuts the target there, so this is the only trace of it.
    pub(super) fn take_fragment(&self) -> bool {
        self.fragment.load(Ordering::Relaxed) && self.fragment.swap(false, Ordering::Relaxed)
    }

    /// Bytes came in.
    pub(super) fn received(&self, bytes: &[u8]) {
        if self.phase.load(Ordering::Relaxed) == BUSY {
            self.since.store(self.clock.now(), Ordering::Relaxed);
            return;
        }
        if !self.http1.load(Ordering::Relaxed) {
            return;
        }
        let begins = if self.phase.load(Ordering::Relaxed) == IDLE {
            self.enter(HEADERS);
            true
        } else {
            self.untouched.load(Ordering::Relaxed)
        };
        self.untouched.store(false, Ordering::Relaxed);
        // Further pieces may begin with any of the headers.
        if begins && has_fragment(bytes) {
            self.fragment.store(true, Ordering::Relaxed);
        }
    }

    /// A request came whose client waits to be told to send its body.
    pub(super) fn listen_for_continue(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// Whether the client was told nothing since: its body is not wanted.
    pub(super) fn told_nothing(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// Bytes went out. While a connection counts as idle these are the rest of a
    /// response that a slow client still takes.
    pub(super) fn sent(&self) {
        self.silent.store(false, Ordering::Relaxed);
        if self.phase.load(Ordering::Relaxed) != HEADERS {
            self.since.store(self.clock.now(), Ordering::Relaxed);
        }
    }

    /// No more requests: the connection is over, or has become a tunnel.
    pub(super) fn leave(&self) {
        self.enter(TUNNEL);
    }

    /// A piece of a response goes out.
    pub(super) fn progress(&self) {
        self.progressed.store(self.clock.now(), Ordering::Relaxed);
    }

    fn enter(&self, phase: u8) {
        self.progress();
        self.since.store(self.clock.now(), Ordering::Relaxed);
        // Whoever sees the phase sees its time as well.
        self.phase.store(phase, Ordering::Release);
    }

    // ---- what the connection is told ----

    /// Asks for the end once what is being answered is.
    pub(super) fn stop(&self) {
        // One that is to be cut stays so.
        let _ = self.signal.compare_exchange(GO_ON, STOP, Ordering::Release, Ordering::Relaxed);
        self.waker.wake();
    }

    /// Ends the connection now.
    pub(super) fn cut(&self) {
        self.signal.store(CUT, Ordering::Release);
        self.waker.wake();
    }

    /// From now on `waker` is woken when something is asked of the connection.
    pub(super) fn listen(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.signal.load(Ordering::Acquire) != GO_ON
    }

    pub(super) fn is_cut(&self) -> bool {
        self.signal.load(Ordering::Acquire) == CUT
    }

    // ---- what the registry asks ----

    /// Why the connection has to end by now, if it has.
    pub(super) fn overdue(&self, times: Timeouts) -> Option<&'static str> {
        let (limit, why) = match self.phase.load(Ordering::Acquire) {
            HEADERS => (times.header, "its request's headers did not come in time"),
            IDLE => (times.idle, "it was idle for too long"),
            TUNNEL => return None,
            _ => (times.stream, "nothing moved on it for too long"),
        };
        (self.quiet() >= limit && !self.is_cut()).then_some(why)
    }

    /// How long the connection has been without a request, if it is.
    pub(super) fn idle(&self) -> Option<Duration> {
        (self.phase.load(Ordering::Acquire) == IDLE).then(|| self.quiet())
    }

    /// How long the connection has been waiting for a request's headers, if it is.
    pub(super) fn headers(&self) -> Option<Duration> {
        (self.phase.load(Ordering::Acquire) == HEADERS).then(|| self.quiet())
    }

    /// How long a busy connection of HTTP/2 has got on with none of its requests, if
    /// it is one. Its bytes may move for ever and mean nothing.
    pub(super) fn stuck(&self) -> Option<Duration> {
        let is_busy = self.phase.load(Ordering::Relaxed) == BUSY && !self.http1.load(Ordering::Relaxed);
        let since = self.progressed.load(Ordering::Relaxed);
        is_busy.then(|| Duration::from_millis(self.clock.now().saturating_sub(since)))
    }

    fn quiet(&self) -> Duration {
        Duration::from_millis(self.clock.now().saturating_sub(self.since.load(Ordering::Relaxed)))
    }
}

impl Drop for ConnectionState {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether `bytes` start with a request line whose target has a raw `#`
/// (RFC 9112, section 3.2, allows none). A line that comes in pieces may pass;
/// then what is judged and what is sent on is the part before the `#`.
fn has_fragment(bytes: &[u8]) -> bool {
    let line = bytes.get(..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())).unwrap_or_default();
    let Some(hash) = memchr::memchr(b'#', line) else { return false };
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    method.iter().all(u8::is_ascii_alphabetic) && (method.len()..=method.len() + target.len()).contains(&hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (ConnectionState, Arc<CoarseClock>) {
        let clock = Arc::new(CoarseClock::default());
        (ConnectionState::new(Arc::clone(&clock), Arc::default()), clock)
    }

    const TIMES: Timeouts = Timeouts {
        header: Duration::from_millis(100),
        idle: Duration::from_millis(1_000),
        stream: Duration::from_millis(10_000),
    };

    #[test]
    fn only_a_request_line_with_a_raw_fragment_counts() {
        assert!(has_fragment(b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(has_fragment(b"GET /a#b"));
        assert!(!has_fragment(b"GET /a%23b HTTP/1.1\r\nX: #\r\n\r\n"));
        assert!(!has_fragment(b"User-Agent: C#\r\n\r\n"));
        assert!(!has_fragment(b"# a comment in an upload"));
    }

    #[test]
    fn each_phase_has_its_own_time() {
        let (connection, clock) = state();
        clock.set(99);
        assert_eq!(connection.overdue(TIMES), None);
        clock.set(100);
        assert!(connection.overdue(TIMES).is_some(), "a silent client is cut too");
        connection.begin();
        clock.set(10_099);
        assert_eq!(connection.overdue(TIMES), None);
        connection.received(b"more");
        clock.set(20_098);
        assert_eq!(connection.overdue(TIMES), None, "it moved");
        connection.finish(true);
        clock.set(21_097);
        assert_eq!(connection.overdue(TIMES), None);
        clock.set(21_098);
        assert!(connection.overdue(TIMES).is_some());
        connection.received(b"GET ");
        clock.set(21_150);
        connection.received(b"/ HTTP");
        clock.set(21_198);
        assert!(connection.overdue(TIMES).is_some(), "byte by byte gives no more time");
    }

    #[test]
    fn with_http2_only_requests_begin_and_end_phases() {
        let (connection, clock) = state();
        connection.is_http2();
        connection.begin();
        connection.begin();
        connection.finish(true);
        assert_eq!(connection.idle(), None, "one is open still");
        connection.finish(true);
        clock.set(999);
        connection.received(b"a ping");
        assert_eq!(connection.idle(), Some(Duration::from_millis(999)), "pings keep nothing open");
    }

    #[test]
    fn whoever_takes_back_most_requests_is_cut() {
        let (connection, _) = state();
        connection.is_http2();
        for _ in 0..RESETS {
            connection.begin();
            connection.finish(false);
        }
        assert!(!connection.is_cut());
        connection.begin();
        connection.finish(false);
        assert!(connection.is_cut());

        let (fair, _) = state();
        fair.is_http2();
        for number in 0..RESETS * 4 {
            fair.begin();
            fair.finish(number % 2 == 0);
        }
        assert!(!fair.is_cut(), "somebody who leaves half of the pages early");
    }
}
