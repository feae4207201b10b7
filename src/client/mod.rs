//! Who is connected: the peer, and the client behind trusted proxies; how it asks,
//! and the address that people type.

mod host;
mod incoming;
mod override_headers;
mod public_url;
mod request_kind;
mod resolve;
mod trusted_proxies;
mod x_forwarded;

pub(crate) use host::{is_authority, name_and_port, normalized, requested_host};
pub(crate) use incoming::IncomingRequest;
pub(crate) use override_headers::OverrideHeaders;
pub use public_url::{PublicUrl, PublicUrlError};
pub(crate) use request_kind::{RequestKind, is_cross_site, is_prefetch, speaks_openai, wants_websocket};
pub use resolve::Client;
pub use trusted_proxies::TrustedProxies;
pub(crate) use x_forwarded::{ForwardedHeaders, is_dropped_claim};

#[cfg(feature = "proxy")]
use std::any::Any;
use std::net::SocketAddr;
#[cfg(feature = "proxy")]
use std::sync::Arc;

/// The other end of the connection, as a request extension. The proxy's listener
/// puts it there; around a service of your own, put it there yourself if you
/// want `trusted_proxies` to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// `None` for a unix socket.
    pub addr: Option<SocketAddr>,
    /// Whether TLS ends at this connection.
    pub tls: bool,
}

/// Marks a request that came as an extended CONNECT for a WebSocket (RFC 8441).
/// The listener hands it on in the words of HTTP/1.1, as a `GET` with `Upgrade`,
/// so that everything behind judges and sends one kind of request. Whoever makes a
/// tunnel of it holds this for as long as the tunnel lasts: to the listener the
/// request is under way until then.
#[cfg(feature = "proxy")]
#[derive(Debug, Clone)]
pub(crate) struct ExtendedConnect(
    #[expect(dead_code, reason = "held, not read")] pub(crate) Arc<dyn Any + Send + Sync>,
);
