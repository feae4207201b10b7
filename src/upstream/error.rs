//! Why there is no answer from the app.

use super::dispatch::SendError;

/// Why there is no answer from the app.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No connection could be made; nothing was sent.
    #[error("{0} does not accept connections: {1}")]
    Connect(String, std::io::Error),
    /// There are as many connections as `limits.upstream_connections` allows, and
    /// none became free.
    #[error(
        "{0} has as many connections as limits.upstream_connections allows, and none became free in time"
    )]
    Busy(String),
    /// No connection, or no response, in time.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// The client stopped in the middle of its request's body.
    #[error("the client stopped in the middle of the request's body")]
    SlowClient,
    /// The client went away in the middle of its request's body.
    #[error("the client left in the middle of the request's body: {0}")]
    ClientLeft(hyper::Error),
    /// The connection broke before there was a response.
    #[error("{0} closed the connection without an answer: {1}")]
    Broken(String, hyper::Error),
    /// It switched to another protocol without being asked.
    #[error("{0} switched protocols without being asked to")]
    Unasked(String),
    /// It agreed to a WebSocket in words that are not an agreement.
    #[error("{0} accepted a WebSocket without knowing its key (Sec-WebSocket-Accept)")]
    NotAccepted(String),
    /// A WebSocket to an upstream that speaks nothing but HTTP/2.
    #[error("{0} is asked for a WebSocket, which h2c cannot carry; give its route an http upstream")]
    NoWebSocket(String),
    /// The response's body is coded in a way that would be lost here.
    #[error("{0} answered with a transfer coding other than chunked")]
    Coding(String),
    /// The request's body is longer than `limits.body_bytes`, which is this.
    #[error("the request's body is longer than {0} bytes")]
    TooLarge(u64),
}

impl UpstreamError {
    pub(super) fn of(error: SendError, upstream: String, body_bytes: Option<u64>) -> Self {
        match error {
            SendError::Connect(error) => Self::Connect(upstream, error),
            SendError::Timeout => Self::Timeout(upstream),
            SendError::Busy => Self::Busy(upstream),
            SendError::Broken(error) => Self::Broken(upstream, error),
            SendError::TooLarge => Self::TooLarge(body_bytes.unwrap_or(0)),
            SendError::Client(error) => Self::ClientLeft(error),
            SendError::NoWebSocket => Self::NoWebSocket(upstream),
        }
    }
}
