//! Listeners, TLS, HTTP/1 and HTTP/2, limits, drain.

mod connection;
mod connection_registry;
mod connection_state;
mod http2_request;
mod listener;
mod peek_stream;
mod proxy_protocol;
mod settings;
mod tls;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use listener::{ListenAddress, Listener, Listeners, NotAListenAddress};
pub use settings::{CertificateFiles, ServerSettings};
pub use tls::TlsError;

use crate::client::Peer;
use connection::Connection;
use connection_registry::ConnectionRegistry;
use connection_state::Timeouts;
use settings::TooManyConnections;
use workers::Workers;

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

/// A server whose files were read and found in order; cheap to clone.
#[derive(Clone)]
pub struct Server {
    current: Arc<ArcSwap<Current>>,
    registry: Arc<ConnectionRegistry>,
    running: Running,
}

/// What new connections are served by.
struct Current {
    settings: Arc<ServerSettings>,
    tls: Option<TlsAcceptor>,
}

impl Current {
    fn new(settings: ServerSettings) -> Result<Self, TlsError> {
        let tls = if settings.tls.is_empty() { None } else { Some(tls::acceptor(&settings.tls)?) };
        Ok(Self { settings: Arc::new(settings), tls })
    }
}

impl Server {
    /// Reads certificates and keys, if there are any.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn new(settings: ServerSettings, running: Running) -> Result<Self, TlsError> {
        let current = Arc::new(ArcSwap::from_pointee(Current::new(settings)?));
        Ok(Self { current, registry: Arc::default(), running })
    }

    /// Serves new connections by other settings, and by certificates read anew;
    /// those that are open go on as they are. How many `threads` there are stays.
    ///
    /// # Errors
    /// [`TlsError`]; then everything stays as it is.
    pub fn reload(&self, settings: ServerSettings) -> Result<(), TlsError> {
        self.current.store(Arc::new(Current::new(settings)?));
        Ok(())
    }

    /// Answers the requests that come to `listeners` with `service`, until the stop
    /// of [`Running`] is cancelled; then no new connections are taken, and what is
    /// being answered has the drain time. `true`: everything was finished within it.
    pub async fn run<S, F, B>(self, listeners: Listeners, service: S) -> bool
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Running { tasks, stop } = self.running.clone();
        let threads = self.current.load().settings.threads;
        let workers = match Workers::start(threads, &tasks, service) {
            Ok(workers) => workers,
            Err(error) => {
                tracing::error!(%error, "the threads that answer requests cannot be started");
                return false;
            }
        };
        let watching = tokio::spawn({
            let server = self.clone();
            async move { server.registry.watch(|| server.times()).await }
        });
        tokio::select! {
            () = self.accept(&listeners, &workers) => {}
            () = stop.cancelled() => {}
        }
        listeners.close();
        self.registry.stop();
        tasks.close();
        let drain = self.current.load().settings.drain_timeout;
        let finished = tokio::time::timeout(drain, tasks.wait()).await.is_ok();
        self.registry.cut();
        workers.end().await;
        watching.abort();
        finished
    }

    /// Accepts at every listener there is, and at those that come.
    async fn accept<S, F, B>(&self, listeners: &Listeners, workers: &Workers<S>)
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut watch = listeners.watch();
        loop {
            let current = watch.borrow_and_update().clone();
            let mut accepting: FuturesUnordered<_> =
                current.iter().map(|listener| self.accept_at(listener, workers)).collect();
            tokio::select! {
                // A client that is between two looks waits with the kernel.
                changed = watch.changed() => if changed.is_err() { return },
                Some(()) = accepting.next() => {}
            }
        }
    }

    async fn accept_at<S, F, B>(&self, listener: &Listener, workers: &Workers<S>)
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut said = None;
        loop {
            let (accepted, addr) = match listener.accept().await {
                Ok(accepted) => accepted,
                // A client that left again is its own affair. Without descriptors
                // others must close first.
                Err(error) => {
                    self.registry.make_room();
                    let now = Instant::now();
                    if said.is_none_or(|then| now.duration_since(then) > Duration::from_secs(1)) {
                        said = Some(now);
                        tracing::warn!(%error, "a connection could not be accepted");
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let current = self.current.load_full();
            let settings = Arc::clone(&current.settings);
            let peer = Peer { addr, tls: current.tls.is_some() };
            let proxy_header_expected = settings.proxy_protocol && settings.trusts(&peer);
            let address_permit = match settings.permit_for(&peer, &self.registry) {
                Ok(permit) => permit,
                Err(TooManyConnections) => {
                    tracing::debug!(peer = ?addr, "an address has too many connections; a further one is closed");
                    continue;
                }
            };
            let (chosen, load) = workers.least();
            let (state, permit) = self.registry.enter(settings.connections, &load).await;
            let (registry, tls) = (Arc::clone(&self.registry), current.tls.clone());
            let connection = Connection {
                peer,
                state,
                permit,
                address_permit,
                proxy_header_expected,
                registry,
                settings,
                tls,
            };
            workers.give(&chosen, connection, accepted);
        }
    }

    fn times(&self) -> Timeouts {
        let current = self.current.load();
        Timeouts {
            header: current.settings.header_timeout,
            idle: current.settings.idle_timeout,
            stream: current.settings.stream_timeout,
        }
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("settings", &self.current.load().settings).finish_non_exhaustive()
    }
}
