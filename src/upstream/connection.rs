//! A pooled connection: HTTP/1.1 for one request at a time, or a stream of HTTP/2.

use std::time::Duration;

use hyper::client::conn::http1;

use super::http2_connection::Http2Stream;
use super::request_body::RequestBody;

/// How long a connection may take to become ready for its next request.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(1);

/// An HTTP/1.1 connection.
#[derive(Debug)]
pub(super) struct Http1Connection {
    pub(super) sender: http1::SendRequest<RequestBody>,
    /// The shard of the thread that drives it; `None` on a multi-threaded runtime.
    pub(super) home_shard: Option<usize>,
}

/// A connection that a request is sent on.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Http1Connection),
    Http2(Http2Stream),
}

/// A connection taken from the pool.
#[derive(Debug)]
pub(super) struct Checkout {
    pub(super) connection: Connection,
    /// How long it was idle; `None` for a new connection.
    pub(super) idle_for: Option<Duration>,
}

impl Connection {
    /// Waits until the connection has finished its last request; `false` if it cannot be
    /// reused.
    pub(super) async fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_ready().await,
            Self::Http2(_) => true,
        }
    }
}

impl Http1Connection {
    async fn is_ready(&mut self) -> bool {
        self.sender.is_ready()
            || matches!(tokio::time::timeout(READY_TIMEOUT, self.sender.ready()).await, Ok(Ok(())))
    }
}
