//! Limits the connections of one client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::settings::ServerSettings;
use crate::client::Peer;

/// How many connections each address has open.
#[derive(Debug, Default)]
pub(super) struct AddressLimit {
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// Permission for one connection of an address, held for as long as it is open.
#[derive(Debug)]
pub(super) struct AddressPermit {
    limit: Arc<AddressLimit>,
    address: IpAddr,
}

/// The address has as many connections as `limits.connections_per_address` allows.
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

    /// A permit, unless `address` has `max` connections. IPv6 addresses count by their
    /// /64 network, which is what one subscriber gets.
    fn try_acquire(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<AddressPermit> {
        let address = match address.to_canonical() {
            IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
            v4 @ IpAddr::V4(_) => v4,
        };
        let mut open = self.open();
        let count = open.entry(address).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(AddressPermit { limit: Arc::clone(self), address })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let mut open = self.limit.open();
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert!(limit.open().is_empty());
    }
}
