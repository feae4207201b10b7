//! Opens connections to an upstream: over TCP or a unix socket, with or without TLS, and
//! with the version of HTTP that the upstream speaks.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::address::{Scheme, UpstreamUrl};
use super::connection_limit::ConnectionPermit;
use super::http2_connection::Http2Connection;
use super::request_body::RequestBody;
use super::settings::{MAX_RESPONSE_HEAD, MAX_RESPONSE_LINES};
use super::tls::Tls;
use super::transport::Transport;

/// TCP keepalive: the first probe comes after `KEEPALIVE`, and three unanswered probes
/// close the connection.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_RETRIES: u32 = 3;
/// How long sent data may stay unacknowledged.
#[cfg(target_os = "linux")]
const USER_TIMEOUT: Duration = Duration::from_secs(60);

/// Opens connections to one upstream.
pub(super) struct Connector {
    url: UpstreamUrl,
    tls: Option<Tls>,
    /// The version that an https upstream chose with ALPN; [`UNKNOWN`] before the first
    /// handshake.
    version: AtomicU8,
}

const UNKNOWN: u8 = 0;
const HTTP_1: u8 = 1;
const HTTP_2: u8 = 2;

/// A new connection, ready for requests.
#[derive(Debug)]
pub(super) enum NewConnection {
    Http1(http1::SendRequest<RequestBody>),
    Http2(Http2Connection),
}

impl Connector {
    pub(super) fn new(url: UpstreamUrl, tls: Option<Tls>) -> Self {
        let tls = tls.filter(|_| url.is_https());
        let version = match url.scheme {
            Scheme::Http | Scheme::Unix(_) => HTTP_1,
            Scheme::H2c => HTTP_2,
            Scheme::Https => UNKNOWN,
        };
        Self { url, tls, version: AtomicU8::new(version) }
    }

    pub(super) fn url(&self) -> &UpstreamUrl {
        &self.url
    }

    /// Whether a connector for `url` and `tls` would open the same connections.
    pub(super) fn is_same_as(&self, url: &UpstreamUrl, tls: Option<&Tls>) -> bool {
        let tls = tls.filter(|_| url.is_https());
        self.url == *url
            && match (&self.tls, tls) {
                (None, None) => true,
                (Some(current), Some(other)) => current.is_same_as(other),
                _ => false,
            }
    }

    /// Whether connections may be HTTP/2, as far as is known.
    pub(super) fn may_multiplex(&self) -> bool {
        self.version.load(Ordering::Relaxed) != HTTP_1
    }

    /// Opens a connection with the version of HTTP that the upstream prefers.
    pub(super) async fn connect(&self, permit: Option<ConnectionPermit>) -> io::Result<NewConnection> {
        let Some(tls) = &self.tls else { return self.connect_plain(permit).await };
        let stream = self.connect_tls(tls, &tls.h2_or_http1).await?;
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.version.store(if is_http2 { HTTP_2 } else { HTTP_1 }, Ordering::Relaxed);
        handshake(stream, permit, is_http2).await
    }

    /// Opens a connection that speaks HTTP/1.1, for a WebSocket.
    pub(super) async fn connect_http1(&self, permit: Option<ConnectionPermit>) -> io::Result<NewConnection> {
        let Some(tls) = &self.tls else { return self.connect_plain(permit).await };
        let stream = self.connect_tls(tls, &tls.http1).await?;
        handshake(stream, permit, false).await
    }

    async fn connect_plain(&self, permit: Option<ConnectionPermit>) -> io::Result<NewConnection> {
        if let Scheme::Unix(path) = &self.url.scheme {
            return handshake(UnixStream::connect(path).await?, permit, false).await;
        }
        handshake(self.connect_tcp().await?, permit, self.url.scheme == Scheme::H2c).await
    }

    async fn connect_tcp(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&*self.url.authority).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_RETRIES);
        socket.set_tcp_keepalive(&keepalive)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
        Ok(stream)
    }

    async fn connect_tls(
        &self,
        tls: &Tls,
        config: &Arc<ClientConfig>,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = match &tls.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(self.url.host.clone()).map_err(io::Error::other)?,
        };
        TlsConnector::from(Arc::clone(config)).connect(name, self.connect_tcp().await?).await
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    permit: Option<ConnectionPermit>,
    is_http2: bool,
) -> io::Result<NewConnection> {
    let limit = permit.as_ref().map(|permit| Arc::clone(permit.limit()));
    let stream = Transport::new(stream, permit);
    if is_http2 {
        return Ok(NewConnection::Http2(Http2Connection::handshake(stream, limit).await?));
    }
    let (sender, connection) = http1::Builder::new()
        .max_header_size(MAX_RESPONSE_HEAD as usize)
        .max_headers(MAX_RESPONSE_LINES)
        // A proxy removes this whitespace (RFC 9112, section 5.1), and replaces line
        // folding by spaces (section 5.2). Both happen before a field is interpreted.
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake::<_, RequestBody>(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(async move {
        // A request that is in flight gets the error from the sender.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to the upstream failed");
        }
    });
    Ok(NewConnection::Http1(sender))
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("url", &self.url).finish_non_exhaustive()
    }
}
