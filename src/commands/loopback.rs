//! `--listen` of the commands at which anybody can sign in as any user.

use std::net::SocketAddr;

/// Parses a loopback address and port. It is checked while arguments are parsed: before any
/// socket is opened, and with the exit status of a usage error.
pub(super) fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "it is not an IP address and a port; write it like 127.0.0.1:4180 or [::1]:4180")?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err("it is not a loopback address: anybody who reaches the stand-in can sign in as any user; use 127.0.0.1 \
         or [::1]"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_addresses_with_a_port_are_accepted() {
        for text in ["127.0.0.1:4182", "127.8.9.10:0", "[::1]:1"] {
            assert_eq!(loopback(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_addresses_and_names_are_refused_with_the_reason() {
        for text in ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "[2001:db8::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(loopback(text).unwrap_err().contains("sign in as any user"), "{text}");
        }
        for text in ["localhost:1", "127.0.0.1", ":4182", "4182", "", "127.0.0.1:65536", "::1:1x"] {
            assert!(loopback(text).unwrap_err().contains("write it like 127.0.0.1:4180"), "{text}");
        }
    }
}
