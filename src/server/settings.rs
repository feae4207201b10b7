//! How clients are served.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::connection_registry::{AddressPermit, ConnectionRegistry};
use super::listener::ListenAddress;
use crate::client::{Peer, TrustedProxies};

/// How clients are served.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "made by the configuration or in code, with every field said")]
pub struct ServerSettings {
    /// Where to listen.
    pub listen: Vec<ListenAddress>,
    /// Who may connect to a unix socket: the bits of its file.
    pub listen_mode: u32,
    /// Whether connections of trusted proxies begin with a PROXY header.
    pub proxy_protocol: bool,
    /// Whose PROXY headers count, and who may have any number of connections.
    pub trusted_proxies: TrustedProxies,
    /// Certificates with their keys, to end TLS here; none is plain HTTP. The
    /// first is for clients that name no host, or one that no certificate is for.
    pub tls: Vec<CertificateFiles>,
    /// How many threads answer requests, each with the connections it is given;
    /// 0 leaves everything to the runtime that the server is run in.
    pub threads: usize,
    /// For a client's request headers, from their first byte or from the
    /// connection.
    pub header_timeout: Duration,
    /// A connection without a request is closed after so long.
    pub idle_timeout: Duration,
    /// A connection whose request or response does not move for so long is closed.
    pub stream_timeout: Duration,
    /// How long requests in flight may take once the end was asked for.
    pub drain_timeout: Duration,
    /// The longest request headers, in bytes; past it 431.
    pub header_bytes: usize,
    /// The most header lines of a request; past it 431.
    pub headers: usize,
    /// How many connections at a time, tunnels among them; a further one takes the
    /// place of one that is idle, or waits.
    pub connections: usize,
    /// How many of them one address may have, of IPv6 a network of 64 bits.
    pub connections_per_address: usize,
    /// How many requests at a time on one connection (HTTP/2).
    pub streams: u32,
}

impl Default for ServerSettings {
    /// Those of the annotated `config.toml`, in the runtime at hand.
    fn default() -> Self {
        Self {
            listen: vec![ListenAddress::Tcp(([127, 0, 0, 1], 4180).into())],
            listen_mode: 0o660,
            proxy_protocol: false,
            trusted_proxies: TrustedProxies::default(),
            tls: Vec::new(),
            threads: 0,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            stream_timeout: Duration::from_secs(600),
            drain_timeout: Duration::from_secs(30),
            header_bytes: 64 * 1024,
            headers: 100,
            connections: 10_000,
            connections_per_address: 1_000,
            streams: 100,
        }
    }
}

/// Where a certificate and its key are, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by the configuration or in code, with every field said")]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

/// An address has all the connections that it may have.
#[derive(Debug)]
pub(super) struct TooManyConnections;

impl ServerSettings {
    /// Whether the other end is a proxy that is trusted.
    pub(super) fn trusts(&self, peer: &Peer) -> bool {
        self.trusted_proxies.trusts(peer)
    }

    /// A place among the connections of the other end's address. A trusted proxy
    /// has connections of many people, and one on a unix socket has no address.
    pub(super) fn permit_for(
        &self,
        peer: &Peer,
        registry: &Arc<ConnectionRegistry>,
    ) -> Result<Option<AddressPermit>, TooManyConnections> {
        let Some(addr) = peer.addr.filter(|_| !self.trusts(peer)) else { return Ok(None) };
        registry.enter_address(addr.ip(), self.connections_per_address).map(Some).ok_or(TooManyConnections)
    }
}
