//! The address of a listener.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A TCP address or a unix socket to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ListenAddress {
    /// An address and a port; port 0 is any free port.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// Why a text is not a listen address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not an address and a port; write it like \"127.0.0.1:4180\", \"[::]:4180\" or \"unix:/run/huggate.sock\""
)]
#[non_exhaustive]
pub struct NotAListenAddress;

impl ListenAddress {
    /// Parses `127.0.0.1:4180`, `[::]:4180` or `unix:/path`.
    ///
    /// # Errors
    /// [`NotAListenAddress`].
    pub fn parse(text: &str) -> Result<Self, NotAListenAddress> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(NotAListenAddress),
            None => text.parse().map(Self::Tcp).map_err(|_| NotAListenAddress),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_or_a_path() {
        for text in ["127.0.0.1:4180", "[::]:4180", "unix:/run/huggate.sock"] {
            assert_eq!(ListenAddress::parse(text).unwrap().to_string(), text);
        }
        for text in ["localhost:80", "4180", "unix:huggate.sock", "unix:", "", "127.0.0.1"] {
            assert_eq!(ListenAddress::parse(text), Err(NotAListenAddress), "{text}");
        }
    }
}
