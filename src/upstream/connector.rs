//! New connections to an upstream: over TCP or a unix socket, with TLS or
//! without, and in the protocol that the other side speaks.

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
use super::connection_limit::{ConnectionPermit, Transport};
use super::http2_connection::Http2;
use super::request_body::RequestBody;
use super::tls::Tls;

/// A host that vanished is noticed after this and three probes,
const KEEPALIVE: Duration = Duration::from_secs(30);
const PROBE: Duration = Duration::from_secs(10);
/// and at the latest when it did not acknowledge what was sent for so long.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// Connects to one upstream.
pub(super) struct Connector {
    url: UpstreamUrl,
    tls: Option<Tls>,
    /// What an https upstream chose: [`UNKNOWN`] until it did.
    speaks: AtomicU8,
}

const UNKNOWN: u8 = 0;
const HTTP_1: u8 = 1;
const HTTP_2: u8 = 2;

/// A connection, ready for requests.
#[derive(Debug)]
pub(super) enum NewConnection {
    /// One request at a time.
    Http1(http1::SendRequest<RequestBody>),
    /// Many at a time.
    Http2(Http2),
}

impl Connector {
    pub(super) fn new(url: UpstreamUrl, tls: Option<Tls>) -> Self {
        let tls = tls.filter(|_| url.is_https());
        let speaks = match url.scheme {
            Scheme::Http | Scheme::Unix(_) => HTTP_1,
            Scheme::H2c => HTTP_2,
            Scheme::Https => UNKNOWN,
        };
        Self { url, tls, speaks: AtomicU8::new(speaks) }
    }

    pub(super) fn url(&self) -> &UpstreamUrl {
        &self.url
    }

    /// Whether this leads where a connector for `url` with `tls` would.
    pub(super) fn is_for(&self, url: &UpstreamUrl, tls: Option<&Tls>) -> bool {
        let tls = tls.filter(|_| url.is_https());
        self.url == *url
            && match (&self.tls, tls) {
                (None, None) => true,
                (Some(ours), Some(theirs)) => ours.is_like(theirs),
                _ => false,
            }
    }

    /// Whether connections take several requests at a time, as far as is known.
    pub(super) fn may_multiplex(&self) -> bool {
        self.speaks.load(Ordering::Relaxed) != HTTP_1
    }

    /// A new connection in the protocol that the other side prefers.
    pub(super) async fn connect(&self, permit: Option<ConnectionPermit>) -> io::Result<NewConnection> {
        match &self.tls {
            None => self.plain(permit).await,
            Some(tls) => {
                let stream = self.secure(tls, &tls.either).await?;
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                self.speaks.store(if http2 { HTTP_2 } else { HTTP_1 }, Ordering::Relaxed);
                handshake(Transport::new(stream, permit), http2).await
            }
        }
    }

    /// A new connection that speaks HTTP/1.1, which can become a WebSocket.
    pub(super) async fn connect_http1(&self, permit: Option<ConnectionPermit>) -> io::Result<NewConnection> {
        match &self.tls {
            None => self.plain(permit).await,
            Some(tls) => {
                let stream = self.secure(tls, &tls.http1).await?;
                handshake(Transport::new(stream, permit), false).await
            }
        }
    }

    async fn plain(&self, permit: Option<ConnectionPermit>) -> io::Result<NewConnection> {
        if let Scheme::Unix(path) = &self.url.scheme {
            return handshake(Transport::new(UnixStream::connect(path).await?, permit), false).await;
        }
        handshake(Transport::new(self.tcp().await?, permit), self.url.scheme == Scheme::H2c).await
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&*self.url.authority).await?;
        stream.set_nodelay(true)?;
        let socket = SockRef::from(&stream);
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(PROBE).with_retries(3);
        socket.set_tcp_keepalive(&keepalive)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        Ok(stream)
    }

    async fn secure(
        &self,
        tls: &Tls,
        config: &Arc<ClientConfig>,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = match &tls.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(self.url.host.clone()).map_err(io::Error::other)?,
        };
        TlsConnector::from(Arc::clone(config)).connect(name, self.tcp().await?).await
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
) -> io::Result<NewConnection> {
    if http2 {
        return Ok(NewConnection::Http2(Http2::handshake(stream).await?));
    }
    let (sender, connection) =
        http1::handshake::<_, RequestBody>(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(async move {
        // Whoever waits for a response is told the reason by the sender.
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a connection to the upstream broke");
        }
    });
    Ok(NewConnection::Http1(sender))
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("url", &self.url).finish_non_exhaustive()
    }
}
