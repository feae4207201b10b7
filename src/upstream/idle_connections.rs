//! Reusable connections to one upstream, kept per thread.
//!
//! A connection's task lives on the runtime that opened it. With a runtime per core a
//! request stays on its thread, so each thread has a shard of its own, and a request
//! only looks at other shards when no connection may be opened.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Checkout, Connection, Http1Connection};
use super::connection_limit::ConnectionLimit;
use super::http2_connection::{Http2Connection, Http2Stream};

/// More than most machines have cores; further threads share shards.
const SHARDS: usize = 64;
/// How many idle connections a shard keeps.
const MAX_IDLE: usize = 256;

/// Further ahead than any timeout matters.
const FAR_AWAY: Duration = Duration::from_secs(24 * 3600);

/// The connections that requests can reuse, and the limit on all that are open.
#[derive(Debug)]
pub(super) struct IdleConnections {
    shards: Box<[Shard]>,
    limit: Arc<ConnectionLimit>,
    /// `timeouts.upstream_idle` in milliseconds.
    idle_timeout: AtomicU64,
}

/// The connections of one thread.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// The most recently used at the back.
    http1: Mutex<VecDeque<(Http1Connection, Instant)>>,
    http2: Mutex<Vec<Http2Connection>>,
    /// Whether a task closes what is idle for too long. It runs while there are
    /// connections.
    has_reaper: AtomicBool,
    /// Held while a connection is opened that several requests may share.
    pub(super) connecting: tokio::sync::Mutex<()>,
}

impl IdleConnections {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Shard::default()).collect(),
            limit: Arc::default(),
            idle_timeout: AtomicU64::new(u64::MAX),
        }
    }

    /// Sets how long a connection is kept idle. A reload may change it.
    pub(super) fn set_idle_timeout(&self, limit: Duration) {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        // Only a change writes to what all threads read.
        if self.idle_timeout.load(Ordering::Relaxed) != millis {
            self.idle_timeout.store(millis, Ordering::Relaxed);
        }
    }

    fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout.load(Ordering::Relaxed))
    }

    pub(super) fn limit(&self) -> &Arc<ConnectionLimit> {
        &self.limit
    }

    pub(super) fn shard(&self, index: usize) -> Option<&Shard> {
        self.shards.get(index)
    }

    /// A connection of one shard.
    pub(super) fn checkout(&self, index: usize) -> Option<Checkout> {
        let checkout = |connection, idle_for| Checkout { connection, idle_for: Some(idle_for) };
        if let Some(stream) = self.open_stream(index) {
            return Some(checkout(Connection::Http2(stream), Duration::ZERO));
        }
        let (connection, idle_for) = self.shards.get(index)?.checkout(self.idle_timeout())?;
        Some(checkout(Connection::Http1(connection), idle_for))
    }

    /// A stream on an HTTP/2 connection of one shard.
    pub(super) fn open_stream(&self, index: usize) -> Option<Http2Stream> {
        let mut http2 = self.shards.get(index)?.http2();
        // The streams on closed connections hold them until they end.
        http2.retain(|connection| !connection.is_closed());
        http2.iter().find_map(Http2Connection::open_stream)
    }

    /// A connection of any shard, `own` last.
    pub(super) fn steal(&self, own: usize) -> Option<Checkout> {
        (1..=SHARDS).find_map(|step| self.checkout((own + step) % SHARDS))
    }

    /// Closes an idle connection of any shard, `own` last, to make room for another one.
    pub(super) fn close_one(&self, own: usize) {
        let mut shards = (1..=SHARDS).filter_map(|step| self.shard((own + step) % SHARDS));
        shards.any(|shard| shard.checkout(self.idle_timeout()).is_some() || shard.close_idle_http2());
    }

    /// Keeps a connection for reuse.
    pub(super) fn release(self: &Arc<Self>, connection: Http1Connection) {
        if connection.sender.is_closed() {
            return;
        }
        let index = connection.home_shard.unwrap_or_else(current_shard);
        if let Some(shard) = self.shards.get(index) {
            shard.release(connection);
            self.ensure_reaper(index, shard);
        }
        self.limit.notify_waiting();
    }

    /// Keeps an HTTP/2 connection, so that other requests can open streams on it.
    pub(super) fn share(self: &Arc<Self>, index: usize, connection: Http2Connection) {
        if let Some(shard) = self.shards.get(index) {
            shard.http2().push(connection);
            self.ensure_reaper(index, shard);
        }
        self.limit.notify_waiting();
    }

    /// Starts the task that closes the shard's idle connections, unless it runs.
    fn ensure_reaper(self: &Arc<Self>, index: usize, shard: &Shard) {
        if !shard.has_reaper.load(Ordering::SeqCst) && !shard.has_reaper.swap(true, Ordering::SeqCst) {
            let reaper = Reaper { idle: Arc::downgrade(self), index, has_retired: false };
            tokio::spawn(reaper.run());
        }
    }
}

/// Closes the connections of one shard that are idle for too long.
struct Reaper {
    /// A pool that is dropped closes its connections itself.
    idle: Weak<IdleConnections>,
    index: usize,
    /// Whether another reaper may have started.
    has_retired: bool,
}

impl Reaper {
    async fn run(mut self) {
        loop {
            while let Some(next) = self.reap() {
                tokio::time::sleep_until(next).await;
            }
            if self.retire() {
                return;
            }
        }
    }

    /// When to look again; `None` if nothing is left.
    fn reap(&self) -> Option<Instant> {
        let idle = self.idle.upgrade()?;
        idle.shard(self.index)?.close_expired(idle.idle_timeout())
    }

    /// `false`: a connection was released since the last look, and found this reaper still
    /// there.
    fn retire(&mut self) -> bool {
        let Some(idle) = self.idle.upgrade() else { return true };
        let Some(shard) = idle.shard(self.index) else { return true };
        shard.has_reaper.store(false, Ordering::SeqCst);
        self.has_retired = shard.is_empty() || shard.has_reaper.swap(true, Ordering::SeqCst);
        self.has_retired
    }
}

impl Drop for Reaper {
    /// The task also ends with its runtime.
    fn drop(&mut self) {
        let Some(idle) = self.idle.upgrade().filter(|_| !self.has_retired) else { return };
        if let Some(shard) = idle.shard(self.index) {
            shard.has_reaper.store(false, Ordering::SeqCst);
        }
    }
}

impl Shard {
    fn http1(&self) -> MutexGuard<'_, VecDeque<(Http1Connection, Instant)>> {
        self.http1.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn http2(&self) -> MutexGuard<'_, Vec<Http2Connection>> {
        self.http2.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most recently used connection that is not known to be closed, and how long
    /// it was idle.
    fn checkout(&self, idle_timeout: Duration) -> Option<(Http1Connection, Duration)> {
        let mut idle = self.http1();
        while let Some((connection, since)) = idle.pop_back() {
            let idle_for = since.elapsed();
            if idle_for >= idle_timeout {
                // The rest has been idle for even longer.
                idle.clear();
                return None;
            }
            if !connection.sender.is_closed() {
                return Some((connection, idle_for));
            }
        }
        None
    }

    /// Closes a connection without streams; `false` if there is none.
    fn close_idle_http2(&self) -> bool {
        let mut http2 = self.http2();
        // No stream can be opened while the lock is held.
        let idle = http2.iter().position(Http2Connection::is_idle);
        idle.map(|index| http2.swap_remove(index)).is_some()
    }

    /// Closes the connections that are idle for `idle_timeout`, and forgets those that the
    /// app has closed. Returns when the next one may be due; `None` without connections.
    fn close_expired(&self, idle_timeout: Duration) -> Option<Instant> {
        let now = Instant::now();
        let due = |since: Instant| since.checked_add(idle_timeout).unwrap_or(now + FAR_AWAY);
        let mut http1 = self.http1();
        http1.retain(|(connection, since)| !connection.sender.is_closed() && due(*since) > now);
        let first = http1.front().map(|(_, since)| due(*since));
        drop(http1);
        let mut http2 = self.http2();
        // A connection in use is looked at again when it might be due at the earliest.
        let due = |connection: &Http2Connection| due(connection.idle_since().unwrap_or(now));
        http2.retain(|connection| !connection.is_closed() && due(connection) > now);
        http2.iter().map(due).chain(first).min()
    }

    fn is_empty(&self) -> bool {
        self.http1().is_empty() && self.http2().is_empty()
    }

    fn release(&self, connection: Http1Connection) {
        let mut idle = self.http1();
        if idle.len() >= MAX_IDLE {
            idle.pop_front();
        }
        idle.push_back((connection, Instant::now()));
    }
}

/// The shard of this thread.
pub(super) fn current_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static CURRENT: Cell<Option<usize>> = const { Cell::new(None) };
    }
    CURRENT.with(|current| {
        current.get().unwrap_or_else(|| {
            let index = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            current.set(Some(index));
            index
        })
    })
}
