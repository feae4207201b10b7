//! Who is connected.

use std::net::IpAddr;

/// The address of the client of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);
