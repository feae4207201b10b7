//! Return addresses that are too long for a `state`, held in this process.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::client::subscriber;
use crate::clock::UnixTime;

/// The maximum number of bytes of all addresses.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The maximum number of bytes that one client's sign-ins may hold, so that nobody can
/// push out everybody else's. A /64 network of IPv6 is one client.
const MAX_CLIENT_BYTES: usize = 512 * 1024;

/// The key of an address: random, and known only to the sealed `state`.
pub(super) type HeldKey = [u8; 16];

/// The addresses, oldest first.
#[derive(Default)]
pub(super) struct HeldAddresses {
    held: VecDeque<Held>,
    bytes: usize,
}

struct Held {
    key: HeldKey,
    client: Option<IpAddr>,
    address: Box<str>,
    until: UnixTime,
}

impl HeldAddresses {
    /// Holds `address` until then. What has expired is dropped; past a limit the oldest
    /// are, first those of the same client.
    pub(super) fn hold(
        &mut self,
        key: HeldKey,
        client: Option<IpAddr>,
        address: &str,
        (now, until): (UnixTime, UnixTime),
    ) {
        let client = client.map(subscriber);
        self.retain(|held| held.until >= now);
        let mut own: usize = self.of(client).map(|held| held.address.len()).sum();
        while own + address.len() > MAX_CLIENT_BYTES {
            let Some(oldest) = self.of(client).next().map(|held| (held.key, held.address.len())) else {
                break;
            };
            own -= oldest.1;
            self.retain(|held| held.key != oldest.0);
        }
        while self.bytes + address.len() > MAX_BYTES {
            let Some(oldest) = self.held.pop_front() else { break };
            self.bytes -= oldest.address.len();
        }
        self.bytes += address.len();
        self.held.push_back(Held { key, client, address: address.into(), until });
    }

    /// The address, unless it was dropped.
    pub(super) fn find(&self, key: HeldKey) -> Option<&str> {
        self.held.iter().find(|held| held.key == key).map(|held| &*held.address)
    }

    fn of(&self, client: Option<IpAddr>) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(move |held| held.client == client)
    }

    fn retain(&mut self, keep: impl Fn(&Held) -> bool) {
        self.held.retain(keep);
        self.bytes = self.held.iter().map(|held| held.address.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(n: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, n]))
    }

    fn key(n: usize) -> HeldKey {
        (n as u128).to_be_bytes()
    }

    #[test]
    fn a_client_that_holds_too_much_loses_its_own_oldest_address() {
        let mut addresses = HeldAddresses::default();
        addresses.hold(key(0), client(1), "/of-another", (0, 600));
        let long = "a".repeat(8 * 1024);
        for n in 1..=65 {
            addresses.hold(key(n), client(2), &long, (0, 600));
        }
        assert_eq!(addresses.find(key(0)), Some("/of-another"));
        assert_eq!(addresses.find(key(1)), None);
        assert!((2..=65).all(|n| addresses.find(key(n)).is_some()));
    }

    #[test]
    fn a_subscriber_with_many_addresses_is_one_client() {
        let mut addresses = HeldAddresses::default();
        addresses.hold(key(0), client(1), "/of-another", (0, 600));
        let long = "a".repeat(MAX_CLIENT_BYTES);
        for n in 1..=64 {
            let address = Some(format!("2001:db8::{n:x}").parse().unwrap());
            addresses.hold(key(n), address, &long, (0, 600));
        }
        assert_eq!(addresses.find(key(0)), Some("/of-another"));
        assert_eq!(addresses.held.len(), 2);
    }

    #[test]
    fn the_total_is_bounded_and_expired_addresses_are_dropped() {
        let mut addresses = HeldAddresses::default();
        let long = "a".repeat(MAX_CLIENT_BYTES);
        for n in 0..40 {
            addresses.hold(key(n), client(u8::try_from(n).unwrap()), &long, (0, 600));
            assert!(addresses.bytes <= MAX_BYTES);
        }
        assert!(addresses.find(key(0)).is_none() && addresses.find(key(39)).is_some());
        addresses.hold(key(99), None, "/x", (601, 1201));
        assert_eq!((addresses.held.len(), addresses.bytes), (1, 2));
    }
}
