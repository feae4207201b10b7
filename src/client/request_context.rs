//! What a listener knows about a request besides its head and body.

use std::any::Any;
use std::fmt;

use http::HeaderValue;

use super::Peer;

/// What the proxy's listener knows about a request. It is passed to the service next to
/// the request, because a request extension costs an allocation and can be missing.
#[derive(Debug)]
#[non_exhaustive]
pub struct RequestContext {
    /// The other end of the connection.
    pub peer: Peer,
    /// Its address as a field value, which is the same for all requests of a connection.
    pub(crate) peer_address: Option<HeaderValue>,
    /// Present if the request asks for a WebSocket over HTTP/2.
    pub extended_connect: Option<ExtendedConnect>,
}

/// Keeps an HTTP/2 stream in flight for the listener while it is a WebSocket.
///
/// The listener translates an extended CONNECT (RFC 8441) to an HTTP/1.1 handshake, so
/// that the gate and the upstream handle one form of request. The owner of the WebSocket
/// tunnel holds this until the tunnel is closed.
pub struct ExtendedConnect(
    #[expect(dead_code, reason = "held until it is dropped")] Box<dyn Any + Send + Sync>,
);

impl RequestContext {
    /// The context of a request from `peer`, for requests from a listener of your own.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self { peer, peer_address: peer.address(), extended_connect: None }
    }

    /// The context of another request on the same connection.
    #[must_use]
    pub(crate) fn of_next_request(&self, extended_connect: Option<ExtendedConnect>) -> Self {
        Self { peer: self.peer, peer_address: self.peer_address.clone(), extended_connect }
    }
}

impl ExtendedConnect {
    /// Holds `guard` until the tunnel is closed.
    pub(crate) fn new(guard: impl Any + Send + Sync) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for ExtendedConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtendedConnect").finish_non_exhaustive()
    }
}
