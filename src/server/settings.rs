//! Settings of the server.

use std::path::PathBuf;
use std::time::Duration;

use super::listen_address::ListenAddress;
use crate::client::{Peer, TrustedProxies};
use crate::setters::setters;

/// Listeners, TLS, timeouts and limits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServerSettings {
    /// The addresses to listen on.
    pub listen: Vec<ListenAddress>,
    /// The file mode of unix sockets: who may connect.
    pub listen_mode: u32,
    /// Whether trusted proxies start connections with a PROXY header.
    pub proxy_protocol: bool,
    /// Peers whose PROXY header is read, and whose connections are not limited per
    /// address.
    pub trusted_proxies: TrustedProxies,
    /// Certificates and keys; none is plain HTTP. The first is used for clients that send
    /// no server name, or one that no certificate is valid for.
    pub tls: Vec<CertificateFiles>,
    /// How many worker threads serve connections; 0 serves them on the current runtime.
    pub threads: usize,
    /// For the headers of a request, from their first byte, or from the start of the
    /// connection.
    pub header_timeout: Duration,
    /// How long a connection may be idle between requests.
    pub idle_timeout: Duration,
    /// How long a request or response may transfer no data.
    pub stream_timeout: Duration,
    /// How long requests in flight may take after the stop.
    pub drain_timeout: Duration,
    /// The longest head of a request, in bytes, as HTTP/1.1 writes it; longer ones get 431.
    pub header_bytes: usize,
    /// The most header lines of a request; more get 431.
    pub headers: usize,
    /// The most open connections, WebSockets included. At the limit the longest-idle
    /// connection is closed to make room, or a new one waits.
    pub connections: usize,
    /// The most connections of one client address, or of one /64 network of IPv6. At the
    /// limit its longest-idle connection is closed to make room, or the new one.
    pub connections_per_address: usize,
    /// The most concurrent streams of an HTTP/2 connection.
    pub streams: u32,
}

impl ServerSettings {
    setters!(
        listen_mode: u32,
        proxy_protocol: bool,
        trusted_proxies: TrustedProxies,
        threads: usize,
        header_timeout: Duration,
        idle_timeout: Duration,
        stream_timeout: Duration,
        drain_timeout: Duration,
        header_bytes: usize,
        headers: usize,
        connections: usize,
        connections_per_address: usize,
        streams: u32;
        listen: into Vec<ListenAddress>,
        tls: into Vec<CertificateFiles>,
    );
}

impl Default for ServerSettings {
    /// The defaults of the annotated `config.toml`, on the current runtime.
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

/// The files of a certificate and its key, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}

impl CertificateFiles {
    /// The files of a certificate chain and of its key.
    #[must_use]
    pub fn new(cert_file: impl Into<PathBuf>, key_file: impl Into<PathBuf>) -> Self {
        Self { cert_file: cert_file.into(), key_file: key_file.into() }
    }
}

impl ServerSettings {
    /// Whether the peer is a trusted proxy.
    pub(super) fn trusts(&self, peer: &Peer) -> bool {
        self.trusted_proxies.trusts(peer)
    }
}
