//! What the HTTP/1 and HTTP/2 servers need to know about a connection.

use std::sync::Arc;

use super::address_limit::AddressPermit;
use super::connection_registry::ConnectionPermit;
use super::connection_state::ConnectionState;
use super::settings::ServerSettings;
use crate::client::Peer;

/// What every connection has, whatever it speaks.
pub(super) struct ConnectionContext {
    pub(super) peer: Peer,
    pub(super) state: Arc<ConnectionState>,
    pub(super) permits: Permits,
    pub(super) settings: Arc<ServerSettings>,
}

/// The permits of a connection. Its stream holds them, so that a tunnel counts for as
/// long as it is open.
pub(super) struct Permits {
    pub(super) _connection: ConnectionPermit,
    pub(super) address: Option<AddressPermit>,
}
