//! Listeners, TLS, HTTP/1, limits, drain.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How clients are served.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "made by the configuration or in code, with every field said")]
pub struct ServerSettings {
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// Certificate and key, to end TLS here.
    pub tls: Option<TlsFiles>,
    /// For a client's request headers, from their first byte or from the
    /// connection.
    pub header_timeout: Duration,
    /// A connection without a request is closed after so long.
    pub idle_timeout: Duration,
    /// How long requests in flight may take once the end was asked for.
    pub drain_timeout: Duration,
    /// The longest request headers, in bytes; past it 431.
    pub header_bytes: usize,
    /// How many connections at a time; a further one waits.
    pub connections: usize,
}

/// Where the certificate and its key are, as PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by the configuration or in code, with every field said")]
pub struct TlsFiles {
    /// The chain, the server's own certificate first.
    pub cert_file: PathBuf,
    /// The private key.
    pub key_file: PathBuf,
}
