//! Listeners, TLS, HTTP/1, limits, drain.

mod activity;
mod connection;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use tls::TlsError;

use crate::client::Peer;

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
    /// How many connections at a time, tunnels among them; a further one waits.
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

/// What runs, and how it is told to end. Connections and tunnels are counted in
/// `tasks` and end when `stop` is cancelled.
#[derive(Debug, Clone, Default)]
#[expect(clippy::exhaustive_structs, reason = "a pair")]
pub struct Running {
    /// Every connection and tunnel.
    pub tasks: TaskTracker,
    /// Asks all of them to end.
    pub stop: CancellationToken,
}

/// A server whose files were read and found in order.
#[derive(Clone)]
pub struct Server {
    settings: Arc<ServerSettings>,
    tls: Option<TlsAcceptor>,
    places: Arc<Semaphore>,
    running: Running,
}

impl Server {
    /// Reads certificate and key, if there are any.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn new(settings: ServerSettings, running: Running) -> Result<Self, TlsError> {
        let tls = settings.tls.as_ref().map(TlsFiles::load).transpose()?;
        let places = Arc::new(Semaphore::new(settings.connections.min(Semaphore::MAX_PERMITS)));
        Ok(Self { settings: Arc::new(settings), tls, places, running })
    }

    /// Answers the requests that come to `listeners` with `service`, until `stop`
    /// is cancelled; then no new connections are taken, and what is being answered
    /// has the drain time. `true`: everything was finished within it.
    pub async fn run<S, F, B>(self, listeners: Vec<TcpListener>, service: S) -> bool
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Running { tasks, stop } = self.running.clone();
        for listener in listeners {
            let (server, service) = (self.clone(), service.clone());
            tasks.spawn(async move { server.accept(listener, service).await });
        }
        stop.cancelled().await;
        tasks.close();
        tokio::time::timeout(self.settings.drain_timeout, tasks.wait()).await.is_ok()
    }

    async fn accept<S, F, B>(self, listener: TcpListener, service: S)
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        loop {
            let stop = self.running.stop.clone();
            let (stream, addr, place) = tokio::select! {
                accepted = self.next(&listener) => accepted,
                () = stop.cancelled() => return,
            };
            let (server, service) = (self.clone(), service.clone());
            self.running.tasks.spawn(async move { server.connection(stream, addr, place, service).await });
        }
    }

    /// The next connection, once there is room for it.
    async fn next(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
        // The semaphore is never closed, so there always is a place in the end.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        loop {
            match listener.accept().await {
                Ok((stream, addr)) => return (stream, addr, place),
                // A client that left again is its own affair. Without descriptors
                // only time helps: others must close first.
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection<S, F, B>(
        self,
        stream: TcpStream,
        addr: SocketAddr,
        place: Option<OwnedSemaphorePermit>,
        service: S,
    ) where
        S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a client left at once");
            return;
        }
        let peer = Peer { addr: Some(addr), tls: self.tls.is_some() };
        let stop = self.running.stop.clone();
        let Some(tls) = &self.tls else {
            return connection::serve(stream, peer, place, self.settings, service, stop).await;
        };
        match tokio::time::timeout(self.settings.header_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => connection::serve(stream, peer, place, self.settings, service, stop).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("settings", &self.settings).finish_non_exhaustive()
    }
}
