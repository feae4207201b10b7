//! All open connections: limits their number, evicts one to make room, closes all.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::coarse_clock::CoarseClock;
use super::connection_state::ConnectionState;
use super::eviction::{longest_idle, longest_stuck};

/// How long to wait for an evicted connection before another one is evicted.
const EVICTION_WAIT: Duration = Duration::from_millis(50);

/// All open connections of a server.
#[derive(Debug, Default)]
pub(super) struct ConnectionRegistry {
    clock: Arc<CoarseClock>,
    state: Mutex<State>,
    /// Notified when a connection closes.
    closed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    open: HashMap<u64, Arc<ConnectionState>>,
    stopping: bool,
}

/// Permission for one connection. The stream holds it, so that a tunnel counts for as
/// long as it is open.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    registry: Arc<ConnectionRegistry>,
    id: u64,
}

impl ConnectionRegistry {
    /// Registers a connection, once fewer than `max` are open; a reload may change it. At
    /// the limit a connection is evicted to make room.
    pub(super) async fn register(
        self: &Arc<Self>,
        max: impl Fn() -> usize,
        load: &Arc<AtomicUsize>,
    ) -> (Arc<ConnectionState>, ConnectionPermit) {
        loop {
            let closed = self.closed.notified();
            let max = max();
            if let Some(registered) = self.try_register(max, load) {
                return registered;
            }
            if !self.evict_one() {
                tracing::debug!(max, "all connections are in use; a new one has to wait");
            }
            let _ = tokio::time::timeout(EVICTION_WAIT, closed).await;
        }
    }

    fn try_register(
        self: &Arc<Self>,
        max: usize,
        load: &Arc<AtomicUsize>,
    ) -> Option<(Arc<ConnectionState>, ConnectionPermit)> {
        let mut state = self.lock();
        if state.open.len() >= max {
            return None;
        }
        let id = state.next_id;
        state.next_id += 1;
        let connection = Arc::new(ConnectionState::new(Arc::clone(&self.clock), Arc::clone(load)));
        if state.stopping {
            connection.close_signal().close_gracefully();
        }
        state.open.insert(id, Arc::clone(&connection));
        Some((connection, ConnectionPermit { registry: Arc::clone(self), id }))
    }

    /// Closes the longest-idle connection to make room; else the one that has waited
    /// longest for headers; else the one that has gone longest without progress.
    /// `false`: no connection can be evicted.
    pub(super) fn evict_one(&self) -> bool {
        let state = self.lock();
        let evicted = longest_idle(state.open.iter()).or_else(|| longest_stuck(state.open.iter()));
        if let Some((_, connection)) = evicted {
            connection.close_signal().abort();
        }
        evicted.is_some()
    }

    pub(super) fn clock(&self) -> &CoarseClock {
        &self.clock
    }

    pub(super) fn for_each(&self, f: impl Fn(&ConnectionState)) {
        self.lock().open.values().for_each(|connection| f(connection));
    }

    /// Closes all connections gracefully, and those that are registered later.
    pub(super) fn close_all_gracefully(&self) {
        let mut state = self.lock();
        state.stopping = true;
        state.open.values().for_each(|connection| connection.close_signal().close_gracefully());
    }

    /// Closes all connections at once.
    pub(super) fn abort_all(&self) {
        self.for_each(|connection| connection.close_signal().abort());
    }

    /// A poisoned lock is used on: every change of the map is a single call, so a panic
    /// leaves it consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.registry.lock().open.remove(&self.id);
        self.registry.closed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_aborted(connection: &ConnectionState) -> bool {
        connection.close_signal().is_aborted()
    }

    #[tokio::test]
    async fn at_the_limit_the_longest_idle_connection_is_evicted() {
        let registry = Arc::new(ConnectionRegistry::default());
        let load = Arc::default();
        let (busy, _busy) = registry.register(|| 3, &load).await;
        busy.begin_request();
        let (older, older_permit) = registry.register(|| 3, &load).await;
        older.begin_request();
        older.end_request(true);
        registry.clock.set(10);
        let (newer, _newer) = registry.register(|| 3, &load).await;
        newer.begin_request();
        newer.end_request(true);
        registry.clock.set(20);
        let waiting = tokio::spawn({
            let (registry, load) = (Arc::clone(&registry), Arc::clone(&load));
            async move { registry.register(|| 3, &load).await }
        });
        while !is_aborted(&older) {
            tokio::task::yield_now().await;
        }
        assert!(!is_aborted(&newer) && !is_aborted(&busy));
        drop(older_permit);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn an_http2_connection_without_progress_is_evicted_last() {
        let registry = Arc::new(ConnectionRegistry::default());
        let load = Arc::default();
        let (stream, _stream) = registry.register(|| 2, &load).await;
        stream.begin_request();
        let (pinging, _pinging) = registry.register(|| 2, &load).await;
        pinging.set_http2();
        pinging.begin_request();
        registry.clock.set(59_000);
        pinging.received();
        assert!(!registry.evict_one(), "a response may take up to a minute");
        registry.clock.set(60_000);
        pinging.received();
        assert!(registry.evict_one() && is_aborted(&pinging));
        assert!(!is_aborted(&stream), "HTTP/1 connections are not evicted while a request is in flight");
        assert!(!registry.evict_one());
    }
}
