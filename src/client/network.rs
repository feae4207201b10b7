//! Networks that count as one client.

use std::net::IpAddr;

/// The address that limits count a client by: the /64 network of an IPv6 address, which is
/// what one subscriber gets, and an IPv4 address itself.
pub(crate) fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_subscriber_are_one_client() {
        for (one, other, same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let subscriber_of = |text: &str| subscriber(text.parse().unwrap());
            assert_eq!(subscriber_of(one) == subscriber_of(other), same, "{one} {other}");
        }
    }
}
