//! What a listener knows about a request besides its head and body.

use std::any::Any;
use std::fmt;

use super::Peer;

/// What the proxy's listener knows about a request. It is passed to the service next to
/// the request, because a request extension costs an allocation and can be missing.
#[derive(Debug)]
#[non_exhaustive]
pub struct RequestContext {
    /// The other end of the connection.
    pub peer: Peer,
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
        Self { peer, extended_connect: None }
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
