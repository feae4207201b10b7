//! The context of a connection, for the HTTP/1 and HTTP/2 servers.

use std::sync::Arc;

use super::address_limit::AddressPermit;
use super::connection_registry::ConnectionPermit;
use super::connection_state::ConnectionState;
use super::settings::ServerSettings;
use crate::client::Peer;

/// The context of a connection of any HTTP version.
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
