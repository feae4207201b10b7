//! The peer of a connection.

use std::net::IpAddr;

/// The peer's address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);
