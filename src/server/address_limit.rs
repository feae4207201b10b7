//! Limits the connections of one client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::connection_state::ConnectionState;
use super::eviction::longest_idle;
use super::log_interval::LogInterval;
use super::settings::ServerSettings;
use crate::client::Peer;

/// How often the log says that an address is at its limit.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// The open connections of each address.
#[derive(Debug, Default)]
pub(super) struct AddressLimit {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next_id: u64,
    /// `None` until the connection is registered.
    open: HashMap<IpAddr, HashMap<u64, Option<Arc<ConnectionState>>>>,
    logged: LogInterval,
}

/// Permission for one connection of an address, held for as long as it is open.
#[derive(Debug)]
pub(super) struct AddressPermit {
    limit: Arc<AddressLimit>,
    address: IpAddr,
    id: u64,
}

/// The address has as many connections as `limits.connections_per_address` allows, and none
/// of them is idle.
#[derive(Debug)]
pub(super) struct TooManyConnections;

impl AddressLimit {
    /// A permit for a connection from `peer`. Trusted proxies need none, because they
    /// connect for many clients; unix sockets have no address.
    pub(super) fn acquire(
        self: &Arc<Self>,
        peer: &Peer,
        settings: &ServerSettings,
    ) -> Result<Option<AddressPermit>, TooManyConnections> {
        let Some(addr) = peer.addr.filter(|_| !settings.trusts(peer)) else { return Ok(None) };
        let permit = self.try_acquire(addr.ip(), settings.connections_per_address);
        permit.map(Some).ok_or(TooManyConnections)
    }

    /// A permit, if `address` has fewer than `max` connections, or an idle one that makes
    /// room. IPv6 addresses count by their /64 network, which is what one subscriber gets.
    fn try_acquire(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<AddressPermit> {
        let address = match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
            v4 @ IpAddr::V4(_) => v4,
        };
        let mut state = self.lock();
        let State { next_id, open, logged } = &mut *state;
        let connections = open.entry(address).or_default();
        if connections.len() >= max {
            let made_room = evict(connections);
            if logged.take(LOG_INTERVAL) {
                tracing::warn!(
                    client.addr = %address, max,
                    "an address has as many connections as limits.connections_per_address allows; {}",
                    if made_room { "its longest-idle one is closed" } else { "none of them is idle, so a new one is closed" },
                );
            }
            if !made_room {
                return None;
            }
        }
        let id = *next_id;
        *next_id += 1;
        connections.insert(id, None);
        Some(AddressPermit { limit: Arc::clone(self), address, id })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the longest-idle connection. It no longer counts, though its task ends a moment
/// later. `false`: all of them are in use.
fn evict(connections: &mut HashMap<u64, Option<Arc<ConnectionState>>>) -> bool {
    let registered = connections.iter().filter_map(|(id, connection)| Some((*id, connection.as_ref()?)));
    let Some((id, connection)) = longest_idle(registered) else { return false };
    connection.close_signal().abort();
    connections.remove(&id).is_some()
}

impl AddressPermit {
    /// Says which connection it is for, so that it can make room while it is idle.
    pub(super) fn holds(&self, connection: &Arc<ConnectionState>) {
        let mut state = self.limit.lock();
        let entry = state.open.get_mut(&self.address).and_then(|open| open.get_mut(&self.id));
        if let Some(entry) = entry {
            *entry = Some(Arc::clone(connection));
        }
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut state = self.limit.lock();
        if let Some(connections) = state.open.get_mut(&self.address) {
            connections.remove(&self.id);
            if connections.is_empty() {
                state.open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::coarse_clock::CoarseClock;
    use super::*;

    #[test]
    fn connections_are_limited_per_address_or_network() {
        let limit = Arc::new(AddressLimit::default());
        let acquire = |address: &str| limit.try_acquire(address.parse().unwrap(), 2);
        let (first, second) = (acquire("2001:db8::1"), acquire("2001:db8::2"));
        assert!(first.is_some() && second.is_some());
        assert!(acquire("2001:db8::3").is_none(), "the same /64 network");
        assert!(acquire("2001:db8:0:1::3").is_some() && acquire("192.0.2.1").is_some());
        drop(first);
        assert!(acquire("2001:db8::3").is_some());
        drop(second);
        assert!(limit.lock().open.is_empty());
    }

    #[test]
    fn the_longest_idle_connection_of_the_address_makes_room() {
        let (limit, clock) = (Arc::new(AddressLimit::default()), Arc::new(CoarseClock::default()));
        let open = |address: &str| {
            let permit = limit.try_acquire(address.parse().unwrap(), 2)?;
            let connection = Arc::new(ConnectionState::new(Arc::clone(&clock), Arc::default()));
            permit.holds(&connection);
            connection.begin_request();
            Some((permit, connection))
        };
        let (other, mine) = ("192.0.2.1", "192.0.2.2");
        let idle_elsewhere = open(other).unwrap();
        idle_elsewhere.1.end_request(true);
        let (older, newer) = (open(mine).unwrap(), open(mine).unwrap());
        assert!(open(mine).is_none(), "both are busy");
        older.1.end_request(true);
        clock.set(10);
        newer.1.end_request(true);
        clock.set(20);
        let aborted =
            |(_, connection): &(AddressPermit, Arc<ConnectionState>)| connection.close_signal().is_aborted();
        let third = open(mine).unwrap();
        assert!(aborted(&older) && !aborted(&newer) && !aborted(&idle_elsewhere));
        drop(older);
        assert_eq!(limit.lock().open[&mine.parse::<IpAddr>().unwrap()].len(), 2, "it counted once");
        drop((newer, third, idle_elsewhere));
        assert!(limit.lock().open.is_empty());
    }
}
