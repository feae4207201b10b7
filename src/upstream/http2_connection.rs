//! An HTTP/2 connection to an upstream, shared by many requests (RFC 9113).

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection_limit::ConnectionLimit;
use super::request_body::RequestBody;
use super::settings::MAX_RESPONSE_HEAD;

/// The most concurrent streams on a connection, whatever the peer allows: a lost packet
/// delays all of them.
const MAX_STREAMS: usize = 100;
/// Assumed until the peer's SETTINGS have arrived.
const INITIAL_MAX_STREAMS: usize = 99;
/// How long to wait for the peer's SETTINGS before the initial value is used.
const SETTINGS_TIMEOUT: Duration = Duration::from_millis(250);
/// How often to look for them meanwhile: hyper does not notify of their arrival.
const SETTINGS_POLL_INTERVAL: Duration = Duration::from_millis(1);
/// A peer that has sent nothing for this long while streams are open gets a PING. gRPC
/// servers close connections that are pinged more often than every five minutes without
/// data; TCP keepalive notices a vanished host earlier.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(310);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Enough for all streams, so that clients that do not read cannot block the others.
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;

/// A shared connection; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Http2Connection {
    sender: http2::SendRequest<RequestBody>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    open_streams: AtomicUsize,
    /// The peer's SETTINGS_MAX_CONCURRENT_STREAMS.
    max_streams: AtomicUsize,
    /// No further streams: the peer sent GOAWAY, or the connection broke.
    draining: AtomicBool,
    created: Instant,
    /// Milliseconds from `created` to the end of the last stream.
    last_stream_ended: AtomicU64,
    settings_received: Notify,
    /// Told of streams that become available; `None` for a health check.
    limit: Option<Arc<ConnectionLimit>>,
}

/// A stream reserved for one request; counted until it is dropped.
#[derive(Debug)]
pub(super) struct Http2Stream {
    connection: Http2Connection,
}

impl Http2Connection {
    pub(super) async fn handshake(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        limit: Option<Arc<ConnectionLimit>>,
    ) -> io::Result<Self> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_max_send_streams(INITIAL_MAX_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_RESPONSE_HEAD)
            .keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .handshake::<_, RequestBody>(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let state = Arc::new(State {
            open_streams: AtomicUsize::new(0),
            max_streams: AtomicUsize::new(INITIAL_MAX_STREAMS),
            draining: AtomicBool::new(false),
            created: Instant::now(),
            last_stream_ended: AtomicU64::new(0),
            settings_received: Notify::new(),
            limit,
        });
        tokio::spawn(drive(connection, Arc::clone(&state)));
        state.settings_received.notified().await;
        let connection = Self { sender, state };
        if connection.is_closed() {
            return Err(io::Error::new(
                io::ErrorKind::ConnectionReset,
                "the upstream closed the connection during the HTTP/2 handshake",
            ));
        }
        Ok(connection)
    }

    /// Whether no further stream can be opened.
    pub(super) fn is_closed(&self) -> bool {
        self.state.draining.load(Ordering::Relaxed) || self.sender.is_closed()
    }

    /// Opens no further streams; those that are open continue.
    fn drain(&self) {
        self.state.draining.store(true, Ordering::Relaxed);
    }

    /// Whether no stream is open.
    pub(super) fn is_idle(&self) -> bool {
        self.state.open_streams.load(Ordering::SeqCst) == 0
    }

    /// Since when no stream is open; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let ended = Duration::from_millis(self.state.last_stream_ended.load(Ordering::SeqCst));
        self.is_idle().then(|| self.state.created + ended)
    }

    /// Reserves a stream, unless the limit is reached.
    pub(super) fn open_stream(&self) -> Option<Http2Stream> {
        if self.is_closed() {
            return None;
        }
        let limit = self.state.max_streams.load(Ordering::SeqCst).min(MAX_STREAMS);
        let more = |open| (open < limit).then_some(open + 1);
        self.state.open_streams.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Http2Stream { connection: self.clone() })
    }
}

/// Runs the connection to its end, and notes how many streams the peer allows.
async fn drive<S>(connection: http2::Connection<TokioIo<S>, RequestBody, TokioExecutor>, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut connection = pin!(connection);
    let mut interval = tokio::time::interval(SETTINGS_POLL_INTERVAL);
    let started = Instant::now();
    let mut received = false;
    let ended = poll_fn(|cx| {
        let polled = connection.as_mut().poll(cx);
        let max_streams = connection.current_max_send_streams();
        let before = state.max_streams.load(Ordering::Relaxed);
        if before != max_streams {
            state.max_streams.store(max_streams, Ordering::SeqCst);
            if before < max_streams {
                state.notify_waiting();
            }
        }
        while !received {
            let is_initial = state.max_streams.load(Ordering::Relaxed) == INITIAL_MAX_STREAMS;
            if !is_initial || started.elapsed() >= SETTINGS_TIMEOUT {
                received = true;
                state.settings_received.notify_one();
            } else if interval.poll_tick(cx).is_pending() {
                break;
            }
        }
        polled
    });
    let ended = ended.await;
    state.draining.store(true, Ordering::Relaxed);
    state.settings_received.notify_one();
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP/2 connection to the upstream failed");
    }
}

impl Http2Stream {
    /// Not an `async fn`, whose future would hold the request twice.
    pub(super) fn send(
        &mut self,
        request: http::Request<RequestBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<http::Request<RequestBody>>>> {
        self.connection.sender.try_send_request(request)
    }

    /// Whether the peer guarantees that it did not process the request: it sent GOAWAY
    /// before (RFC 9113, section 6.8) or REFUSED_STREAM (section 8.7). The connection
    /// then takes no further requests.
    pub(super) fn was_not_processed(&self, error: &hyper::Error) -> bool {
        let Some(error) = h2_cause(error) else { return false };
        let going_away = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
        let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
        if error.is_remote() && (going_away || refused) {
            self.connection.drain();
            return true;
        }
        false
    }

    /// Takes the connection out of use after a request could not be sent on it.
    pub(super) fn drain_connection(&self) {
        self.connection.drain();
    }
}

/// Whether this side has reset the stream because the head of its response is malformed
/// (RFC 9113, section 8.1.1) or too long; h2 does not tell them apart.
pub(super) fn is_malformed_response(error: &hyper::Error) -> bool {
    h2_cause(error).is_some_and(|error| {
        error.is_library() && error.is_reset() && error.reason() == Some(h2::Reason::PROTOCOL_ERROR)
    })
}

fn h2_cause(error: &hyper::Error) -> Option<&h2::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<h2::Error>() {
            return Some(error);
        }
        cause = inner.source();
    }
    None
}

impl State {
    /// Wakes a request that waits for a stream.
    fn notify_waiting(&self) {
        if let Some(limit) = &self.limit {
            limit.notify_waiting();
        }
    }
}

impl Drop for Http2Stream {
    fn drop(&mut self) {
        let state = &self.connection.state;
        let now = u64::try_from(state.created.elapsed().as_millis()).unwrap_or(u64::MAX);
        state.last_stream_ended.store(now, Ordering::SeqCst);
        state.open_streams.fetch_sub(1, Ordering::SeqCst);
        state.notify_waiting();
    }
}
