//! A connection that carries many requests at a time (RFC 9113).

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::request_body::RequestBody;

/// How many requests a connection carries at most, whatever the other side allows:
/// a lost packet holds up all of them.
const MOST: usize = 100;
/// Stands for the other side's limit until it has said one.
const UNSAID: usize = 99;
/// How long to wait for the other side to say it; then it has none.
const SETTINGS: Duration = Duration::from_millis(250);
/// How often to look, during that time.
const LOOK: Duration = Duration::from_millis(1);
/// A peer that was silent for so long while requests are open is pinged, and then
/// has [`PONG`]. Not sooner: gRPC servers close connections on which a quiet client
/// pings more often than every five minutes. A host that is gone is noticed before,
/// by TCP.
const PING: Duration = Duration::from_secs(310);
const PONG: Duration = Duration::from_secs(20);
/// More than hyper's 16 KiB, as with HTTP/1.1: what an app sends is the app's choice.
const HEADER_LIST: u32 = 256 * 1024;
/// As much as may be under way on one stream; and on the connection as much as on
/// all of them, or a few clients that do not read would hold up everybody else.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;

/// A connection; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Http2 {
    sender: http2::SendRequest<RequestBody>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// How many requests are open.
    open: AtomicUsize,
    /// How many the other side allows.
    allowed: AtomicUsize,
    /// No further requests, because the other side is done or the connection broke.
    retired: AtomicBool,
    said: Notify,
}

/// One request's share of a connection.
#[derive(Debug)]
pub(super) struct Stream {
    connection: Http2,
}

impl Http2 {
    pub(super) async fn handshake(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> io::Result<Self> {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_max_send_streams(UNSAID)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(HEADER_LIST)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PONG)
            .handshake::<_, RequestBody>(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        let state = Arc::new(State {
            open: AtomicUsize::new(0),
            allowed: AtomicUsize::new(UNSAID),
            retired: AtomicBool::new(false),
            said: Notify::new(),
        });
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let mut look = tokio::time::interval(LOOK);
            let began = tokio::time::Instant::now();
            let mut said = false;
            let end = poll_fn(|cx| {
                let end = connection.as_mut().poll(cx);
                shared.allowed.store(connection.current_max_send_streams(), Ordering::Relaxed);
                while !said {
                    if shared.allowed.load(Ordering::Relaxed) != UNSAID || began.elapsed() >= SETTINGS {
                        said = true;
                        shared.said.notify_one();
                    } else if look.poll_tick(cx).is_pending() {
                        break;
                    }
                }
                end
            });
            let end = end.await;
            shared.retired.store(true, Ordering::Relaxed);
            shared.said.notify_one();
            if let Err(error) = end {
                tracing::debug!(%error, "an HTTP/2 connection to the upstream broke");
            }
        });
        state.said.notified().await;
        let connection = Self { sender, state };
        if connection.is_closed() {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "it does not speak HTTP/2"));
        }
        Ok(connection)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state.retired.load(Ordering::Relaxed) || self.sender.is_closed()
    }

    /// Sends nothing more on it; what is open goes on.
    fn retire(&self) {
        self.state.retired.store(true, Ordering::Relaxed);
    }

    /// Room for one request, if there is some.
    pub(super) fn stream(&self) -> Option<Stream> {
        if self.is_closed() {
            return None;
        }
        let limit = self.state.allowed.load(Ordering::Relaxed).min(MOST);
        let more = |open| (open < limit).then_some(open + 1);
        self.state.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Stream { connection: self.clone() })
    }
}

impl Stream {
    pub(super) async fn send(
        &mut self,
        request: http::Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<http::Request<RequestBody>>> {
        self.connection.sender.try_send_request(request).await
    }

    /// Whether the other side says that it did nothing about a request: it went
    /// away before (RFC 9113, section 6.8), or refused it (section 8.7). Then the
    /// connection is left to what is open on it.
    pub(super) fn was_not_processed(&self, error: &hyper::Error) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
        while let Some(inner) = cause {
            if let Some(error) = inner.downcast_ref::<h2::Error>() {
                let gone = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
                let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
                if error.is_remote() && (gone || refused) {
                    self.connection.retire();
                    return true;
                }
                return false;
            }
            cause = inner.source();
        }
        false
    }

    /// It could not be used for a request.
    pub(super) fn retire(&self) {
        self.connection.retire();
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connection.state.open.fetch_sub(1, Ordering::Relaxed);
    }
}
