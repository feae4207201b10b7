//! Accepts connections, and serves HTTP/1 and HTTP/2 on them, with TLS and limits.
//!
//! A connection passes the files in this order: `listener` accepts it, `address_limit`
//! and `connection_registry` limit it, `workers` picks its thread, `connection` reads the
//! PROXY header and finds the version of HTTP, and `http1` or `http2` serves it.

mod accept_error;
mod address_limit;
mod close_signal;
mod coarse_clock;
mod connection;
mod connection_context;
mod connection_registry;
mod connection_state;
mod eviction;
mod graceful_shutdown;
mod header_filter;
mod hpack;
mod http1;
mod http1_stream;
mod http2;
mod http2_stream;
mod http2_translation;
mod huffman;
mod listen_address;
mod listener;
mod log_interval;
mod observed_stream;
mod peek_stream;
mod proxy_protocol;
mod rapid_reset;
mod rejection;
mod request_guard;
mod request_line;
mod request_target;
mod service_response;
mod settings;
mod socket;
mod timeouts;
mod tls;
mod tracked_body;
mod workers;

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use listen_address::{ListenAddress, NotAListenAddress};
pub use listener::{Listener, Listeners};
pub use settings::{CertificateFiles, ServerSettings};
pub use tls::TlsError;

use crate::client::{Peer, RequestContext};
use accept_error::{AcceptErrors, AfterError};
use address_limit::{AddressLimit, TooManyConnections};
use connection::Connection;
use connection_context::{ConnectionContext, Permits};
use connection_registry::ConnectionRegistry;
use log_interval::LogInterval;
use socket::Socket;
use timeouts::Timeouts;
use workers::Workers;

/// How long to wait after a failed accept, and how often to log one at most.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
const ACCEPT_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// The connections and tunnels of a server, and what stops them; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Running {
    /// Every connection and every tunnel.
    pub(crate) tasks: TaskTracker,
    /// Cancelled to stop all of them.
    pub(crate) stop: CancellationToken,
}

impl Running {
    /// Stops the server: it accepts no more connections, and requests in flight may take the
    /// drain timeout.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Completes when [`Running::stop`] is called.
    pub fn stopped(&self) -> impl Future<Output = ()> + Send + use<> {
        self.stop.clone().cancelled_owned()
    }

    /// Spawns a task that the drain waits for.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }
}

/// A server with its certificates loaded; cheap to clone.
#[derive(Clone)]
pub struct Server {
    current: Arc<ArcSwap<Current>>,
    registry: Arc<ConnectionRegistry>,
    address_limit: Arc<AddressLimit>,
    running: Running,
}

/// The settings for new connections.
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
    /// Loads the certificates and keys.
    ///
    /// # Errors
    /// [`TlsError`] names the file and the problem.
    pub fn new(settings: ServerSettings, running: Running) -> Result<Self, TlsError> {
        let current = Arc::new(ArcSwap::from_pointee(Current::new(settings)?));
        Ok(Self { current, registry: Arc::default(), address_limit: Arc::default(), running })
    }

    /// Uses other settings for new connections, and loads the certificates again. Open
    /// connections keep theirs. The number of `threads` does not change.
    ///
    /// # Errors
    /// [`TlsError`]; then nothing has changed.
    pub fn reload(&self, settings: ServerSettings) -> Result<(), TlsError> {
        self.current.store(Arc::new(Current::new(settings)?));
        Ok(())
    }

    /// Serves connections with `service`, which gets each request and what the listener
    /// knows about it, until [`Running::stop`] is called. Then no
    /// connection is accepted any more, and requests in flight may take the drain
    /// timeout. `true`: all of them were completed within it.
    pub async fn run<S, F, B>(self, listeners: Listeners, service: S) -> bool
    where
        S: Fn(Request<Incoming>, RequestContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Running { tasks, stop } = self.running.clone();
        let threads = self.current.load().settings.threads;
        let workers = match Workers::start(threads, &tasks, service) {
            Ok(workers) => workers,
            Err(error) => {
                tracing::error!(%error, "the worker threads cannot be started");
                return false;
            }
        };
        let timeouts = tokio::spawn({
            let server = self.clone();
            async move { timeouts::enforce(&server.registry, || server.timeouts()).await }
        });
        tokio::select! {
            () = self.accept(&listeners, &workers) => {}
            () = stop.cancelled() => {}
        }
        listeners.close();
        self.registry.close_all_gracefully();
        tasks.close();
        let drain = self.current.load().settings.drain_timeout;
        let finished = tokio::time::timeout(drain, tasks.wait()).await.is_ok();
        self.registry.abort_all();
        workers.stop().await;
        timeouts.abort();
        finished
    }

    /// Accepts on all listeners, and follows their replacement.
    async fn accept<S, F, B>(&self, listeners: &Listeners, workers: &Workers<S>)
    where
        S: Fn(Request<Incoming>, RequestContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut changes = listeners.subscribe();
        // The loops outlast a change: one may hold a connection that waits for room.
        let mut accepting = FuturesUnordered::new();
        let mut followed: Vec<Weak<Listener>> = Vec::new();
        loop {
            followed.retain(|listener| listener.strong_count() > 0);
            let current = changes.borrow_and_update().clone();
            for listener in current.iter().map(Arc::downgrade) {
                if !followed.iter().any(|known| known.ptr_eq(&listener)) {
                    accepting.push(self.accept_on(listener.clone(), changes.clone(), workers));
                    followed.push(listener);
                }
            }
            drop(current);
            tokio::select! {
                // Clients that connect meanwhile wait in the kernel's backlog.
                changed = changes.changed() => if changed.is_err() { return },
                Some(()) = accepting.next() => {}
            }
        }
    }

    /// Accepts on a listener until it is removed. Its last connection may still wait for
    /// room then.
    async fn accept_on<S, F, B>(
        &self,
        listener: Weak<Listener>,
        mut changes: watch::Receiver<Vec<Arc<Listener>>>,
        workers: &Workers<S>,
    ) where
        S: Fn(Request<Incoming>, RequestContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut errors, mut logged) = (AcceptErrors::default(), LogInterval::default());
        loop {
            // Held only while it accepts, so that a removed listener is closed at once.
            let Some(current) = listener.upgrade() else { return };
            let accepted = tokio::select! {
                accepted = current.accept() => accepted,
                changed = changes.changed() => if changed.is_ok() { continue } else { return },
            };
            drop(current);
            let error = match accepted {
                Ok((socket, addr)) => {
                    errors.succeeded();
                    self.start_connection(socket, addr, workers).await;
                    continue;
                }
                Err(error) => error,
            };
            if logged.take(ACCEPT_LOG_INTERVAL) {
                tracing::warn!(%error, "a connection could not be accepted");
            }
            if let AfterError::Wait { exhausted } = errors.failed(&error) {
                if exhausted {
                    self.registry.evict_one();
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }

    /// Acquires the permits of a connection, and passes it to a worker. The settings may
    /// change while it waits for room; it gets those of its start.
    async fn start_connection<S, F, B>(&self, socket: Socket, addr: Option<SocketAddr>, workers: &Workers<S>)
    where
        S: Fn(Request<Incoming>, RequestContext) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let current = self.current.load_full();
        let peer = Peer { addr, tls: current.tls.is_some() };
        let address = match self.address_limit.acquire(&peer, &current.settings) {
            Ok(permit) => permit,
            Err(TooManyConnections) => return,
        };
        let (worker, load) = workers.least_loaded();
        let max = || self.current.load().settings.connections;
        let (state, connection) = self.registry.register(max, &load).await;
        if let Some(address) = &address {
            address.holds(&state);
        }
        let current = self.current.load_full();
        let settings = Arc::clone(&current.settings);
        let peer = Peer { addr, tls: current.tls.is_some() };
        let expects_proxy_header = settings.proxy_protocol && settings.trusts(&peer);
        let permits = Permits { _connection: connection, address };
        let connection = Connection {
            context: ConnectionContext { peer, state, permits, settings },
            expects_proxy_header,
            address_limit: Arc::clone(&self.address_limit),
            tls: current.tls.clone(),
        };
        workers.serve(&worker, connection, socket);
    }

    fn timeouts(&self) -> Timeouts {
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
