//! The client of a request: the peer, or the client behind trusted proxies; the kind of
//! request, and the public URL.

mod field_set;
mod forwarded_field;
mod forwarded_to_app;
mod hop_by_hop;
mod host;
mod incoming;
mod network;
mod override_headers;
mod public_url;
#[cfg(feature = "proxy")]
mod request_context;
mod request_head;
mod request_kind;
mod resolve;
mod trusted_proxies;

pub(crate) use field_set::FieldSet;
pub(crate) use forwarded_to_app::{ForwardedHeaders, is_dropped_claim};
#[cfg(feature = "proxy")]
pub(crate) use hop_by_hop::is_hop_by_hop;
pub(crate) use hop_by_hop::{
    accepts_trailers, drop_hop_by_hop, is_hop_by_hop_in_request, is_websocket_handshake,
};
#[cfg(feature = "proxy")]
pub(crate) use host::is_http;
pub(crate) use host::{is_authority, name_and_port, normalized, requested_host};
pub(crate) use incoming::IncomingRequest;
pub(crate) use network::subscriber;
pub(crate) use override_headers::OverrideHeaders;
pub use public_url::{PublicUrl, PublicUrlError};
#[cfg(feature = "proxy")]
pub use request_context::{ExtendedConnect, RequestContext};
pub(crate) use request_head::RequestHead;
#[cfg(feature = "proxy")]
pub(crate) use request_kind::wants_html;
pub(crate) use request_kind::{
    RequestKind, is_cross_site, is_openai_agent, is_prefetch, may_change_state, speaks_openai,
    wants_websocket,
};
pub use resolve::Client;
pub(crate) use resolve::OwnOrigin;
pub use trusted_proxies::{NotANetwork, TrustedProxies};

use crate::setters::setters;
use std::net::SocketAddr;

use http::HeaderValue;

/// The peer, and its address as a field value if that is known already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerRef<'a> {
    pub(crate) peer: &'a Peer,
    pub(crate) address: Option<&'a HeaderValue>,
}

impl<'a> From<&'a Peer> for PeerRef<'a> {
    fn from(peer: &'a Peer) -> Self {
        Self { peer, address: None }
    }
}

/// The other end of the connection. The proxy's listener passes it in the
/// `RequestContext`. With your own server, insert it into the request's extensions if
/// `trusted_proxies` should take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// `None` for a unix socket.
    pub addr: Option<SocketAddr>,
    /// Whether TLS ends at this connection.
    pub tls: bool,
}

impl Peer {
    /// A peer with an address, without TLS.
    #[must_use]
    pub fn new(addr: SocketAddr) -> Self {
        Self { addr: Some(addr), tls: false }
    }

    /// The peer of a unix socket.
    #[must_use]
    pub fn unix() -> Self {
        Self { addr: None, tls: false }
    }

    setters!(tls: bool;);
}
