//! Every open connection: how many there are, of whom, and which must end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection_state::{CoarseClock, ConnectionState, Timeouts};

/// How often all connections are looked at, at most and at least.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// Where there is no room left, a connection that has not sent its headers for so
/// long makes place for another.
const SLOW: Duration = Duration::from_secs(1);

/// And one of HTTP/2 that got on with none of its requests for so long.
const STUCK: Duration = Duration::from_secs(60);

/// All connections of a server.
#[derive(Debug, Default)]
pub(super) struct ConnectionRegistry {
    clock: Arc<CoarseClock>,
    state: Mutex<State>,
    /// Somebody left.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    open: HashMap<u64, Arc<ConnectionState>>,
    of_address: HashMap<IpAddr, usize>,
    stopping: bool,
}

/// A connection's place among those that may be open. Permits by its stream, so that
/// a tunnel counts for as long as it lasts.
#[derive(Debug)]
pub(super) struct ConnectionPermit {
    registry: Arc<ConnectionRegistry>,
    number: u64,
}

/// A connection's place among those of its address.
#[derive(Debug)]
pub(super) struct AddressPermit {
    registry: Arc<ConnectionRegistry>,
    address: IpAddr,
}

impl ConnectionRegistry {
    /// A place for a new connection, once there are fewer than `most`. Where there
    /// is none, the connection that does least for the longest time is ended.
    pub(super) async fn enter(
        self: &Arc<Self>,
        most: usize,
        load: &Arc<AtomicUsize>,
    ) -> (Arc<ConnectionState>, ConnectionPermit) {
        loop {
            let left = self.room.notified();
            if let Some(entered) = self.try_enter(most, load) {
                return entered;
            }
            if !self.make_room() {
                tracing::debug!(most, "all connections are in use; a further one waits");
            }
            // Whoever was told to end may take a moment.
            let _ = tokio::time::timeout(Duration::from_millis(50), left).await;
        }
    }

    fn try_enter(
        self: &Arc<Self>,
        most: usize,
        load: &Arc<AtomicUsize>,
    ) -> Option<(Arc<ConnectionState>, ConnectionPermit)> {
        let mut state = self.lock();
        if state.open.len() >= most {
            return None;
        }
        let number = state.next;
        state.next += 1;
        let connection = Arc::new(ConnectionState::new(Arc::clone(&self.clock), Arc::clone(load)));
        if state.stopping {
            connection.stop();
        }
        state.open.insert(number, Arc::clone(&connection));
        Some((connection, ConnectionPermit { registry: Arc::clone(self), number }))
    }

    /// A place among the connections of `address`, if it has fewer than `most`.
    /// A network of 64 bits is what one subscriber has of IPv6.
    pub(super) fn enter_address(self: &Arc<Self>, address: IpAddr, most: usize) -> Option<AddressPermit> {
        let address = match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
            v4 @ IpAddr::V4(_) => v4,
        };
        let mut state = self.lock();
        let count = state.of_address.entry(address).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(AddressPermit { registry: Arc::clone(self), address })
    }

    /// Ends the connection that has been idle for the longest time; if none is, the
    /// one that has let its headers be waited for, or that is stuck. `false`: all are
    /// at work.
    pub(super) fn make_room(&self) -> bool {
        let state = self.lock();
        let open = || state.open.values().filter(|connection| !connection.is_cut());
        let idle = open().filter_map(|connection| Some((connection.idle()?, connection)));
        let slow = || open().filter_map(|connection| Some((connection.headers()?, connection)));
        let stuck = || open().filter_map(|connection| Some((connection.stuck()?, connection)));
        let longest = idle
            .max_by_key(|(quiet, _)| *quiet)
            .or_else(|| slow().filter(|(quiet, _)| *quiet >= SLOW).max_by_key(|(quiet, _)| *quiet))
            .or_else(|| stuck().filter(|(quiet, _)| *quiet >= STUCK).max_by_key(|(quiet, _)| *quiet));
        if let Some((_, connection)) = longest {
            connection.cut();
        }
        longest.is_some()
    }

    /// Looks at all connections again and again, and ends those that are overdue.
    pub(super) async fn watch(&self, times: impl Fn() -> Timeouts) {
        let began = Instant::now();
        loop {
            let now = times();
            let shortest = now.header.min(now.idle).min(now.stream);
            tokio::time::sleep((shortest / 8).clamp(LOOKS.0, LOOKS.1)).await;
            self.clock.set(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
            for connection in self.lock().open.values() {
                if let Some(why) = connection.overdue(now) {
                    tracing::debug!("a client's connection is closed: {why}");
                    connection.cut();
                }
            }
        }
    }

    /// Asks every connection to end, those that come later too.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopping = true;
        state.open.values().for_each(|connection| connection.stop());
    }

    /// Ends every connection now.
    pub(super) fn cut(&self) {
        self.lock().open.values().for_each(|connection| connection.cut());
    }

    /// A panic while the lock was held leaves the maps whole: every change is one
    /// call of the map's own.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.registry.lock().open.remove(&self.number);
        self.registry.room.notify_waiters();
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut state = self.registry.lock();
        if let Some(count) = state.of_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                state.of_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_room_the_longest_idle_connection_ends() {
        let registry = Arc::new(ConnectionRegistry::default());
        let load = Arc::default();
        let (busy, _busy) = registry.enter(3, &load).await;
        busy.begin();
        let (older, older_place) = registry.enter(3, &load).await;
        older.begin();
        older.finish(true);
        registry.clock.set(10);
        let (newer, _newer) = registry.enter(3, &load).await;
        newer.begin();
        newer.finish(true);
        registry.clock.set(20);
        let waiting = tokio::spawn({
            let (registry, load) = (Arc::clone(&registry), Arc::clone(&load));
            async move { registry.enter(3, &load).await }
        });
        while !older.is_cut() {
            tokio::task::yield_now().await;
        }
        assert!(!newer.is_cut() && !busy.is_cut());
        drop(older_place);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn without_room_a_connection_that_is_busy_with_nothing_ends_last() {
        let registry = Arc::new(ConnectionRegistry::default());
        let load = Arc::default();
        let (stream, _stream) = registry.enter(2, &load).await;
        stream.begin();
        let (pinging, _pinging) = registry.enter(2, &load).await;
        pinging.is_http2();
        pinging.begin();
        registry.clock.set(59_000);
        pinging.received(b"a ping");
        assert!(!registry.make_room(), "a response may take its time");
        registry.clock.set(60_000);
        pinging.received(b"a ping");
        assert!(registry.make_room() && pinging.is_cut());
        assert!(!stream.is_cut(), "of HTTP/1 what moves is the response");
        assert!(!registry.make_room());
    }

    #[test]
    fn an_address_has_so_many_connections_and_no_more() {
        let registry = Arc::new(ConnectionRegistry::default());
        let enter = |address: &str| registry.enter_address(address.parse().unwrap(), 2);
        let (first, second) = (enter("2001:db8::1"), enter("2001:db8::2"));
        assert!(first.is_some() && second.is_some());
        assert!(enter("2001:db8::3").is_none(), "the same subscriber");
        assert!(enter("2001:db8:0:1::3").is_some() && enter("192.0.2.1").is_some());
        drop(first);
        assert!(enter("2001:db8::3").is_some());
        drop(second);
        assert!(registry.lock().of_address.is_empty());
    }
}
