//! Reusable connections to one upstream, kept per thread.
//!
//! A connection's task lives on the runtime that opened it. With a runtime per core a
//! request stays on its thread, so each thread has a shard of its own, and a request
//! only looks at other shards when no connection may be opened.

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection::{Checkout, Connection, Http1Connection};
use super::connection_limit::ConnectionLimit;
use super::http2_connection::{Http2Connection, Http2Stream};

/// More than most machines have cores; further threads share shards.
const SHARDS: usize = 64;
/// How many idle connections a shard keeps.
const MAX_IDLE: usize = 256;
/// How long a connection is kept idle. Servers close theirs after 5 to 75 seconds; a
/// closed connection is noticed at checkout.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The connections that requests can reuse, and the limit on all that are open.
#[derive(Debug)]
pub(super) struct IdleConnections {
    shards: Box<[Shard]>,
    limit: Arc<ConnectionLimit>,
}

/// The connections of one thread.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// The most recently used at the back.
    http1: Mutex<VecDeque<(Http1Connection, Instant)>>,
    http2: Mutex<Vec<Http2Connection>>,
    /// Held while a connection is opened that several requests may share.
    pub(super) connecting: tokio::sync::Mutex<()>,
}

impl IdleConnections {
    pub(super) fn new() -> Self {
        Self { shards: (0..SHARDS).map(|_| Shard::default()).collect(), limit: Arc::default() }
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
        let (connection, idle_for) = self.shards.get(index)?.checkout()?;
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
        shards.any(|shard| shard.checkout().is_some() || shard.close_idle_http2());
    }

    /// Keeps a connection for reuse.
    pub(super) fn release(&self, connection: Http1Connection) {
        if connection.sender.is_closed() {
            return;
        }
        if let Some(shard) = self.shards.get(connection.home_shard.unwrap_or_else(current_shard)) {
            shard.release(connection);
        }
        self.limit.notify_waiting();
    }

    /// Keeps an HTTP/2 connection, so that other requests can open streams on it.
    pub(super) fn share(&self, index: usize, connection: Http2Connection) {
        if let Some(shard) = self.shards.get(index) {
            shard.http2().push(connection);
        }
        self.limit.notify_waiting();
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
    fn checkout(&self) -> Option<(Http1Connection, Duration)> {
        let mut idle = self.http1();
        while let Some((connection, since)) = idle.pop_back() {
            let idle_for = since.elapsed();
            if idle_for >= IDLE_TIMEOUT {
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
