//! Why the upstream gave no response.

use super::dispatch::SendError;
use super::settings::{MAX_RESPONSE_HEAD, MAX_RESPONSE_LINES};

/// The cause, in whatever type the HTTP implementation has.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why the upstream gave no response.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No connection could be opened; nothing was sent.
    #[error("{0} does not accept connections")]
    Connect(String, #[source] std::io::Error),
    /// As many connections as `limits.upstream_connections` allows are open, and none
    /// became idle in time.
    #[error(
        "all connections to {0} that limits.upstream_connections allows are in use, and none became idle in time"
    )]
    Busy(String),
    /// The grant's session ended, or the rules stopped allowing the request, before there
    /// was a response.
    #[error("the permission for the request ended before the app answered")]
    PermissionEnded,
    /// No connection, or no response, in time.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// The client stopped sending the request body.
    #[error("the client stopped sending the request body")]
    ClientTimeout,
    /// The client disconnected before it had sent the whole request body.
    #[error("the client disconnected before it had sent the whole request body")]
    ClientDisconnected(#[source] BoxError),
    /// The connection broke before there was a response.
    #[error("{0} closed the connection without an answer")]
    Broken(String, #[source] BoxError),
    /// The head of the response is not valid HTTP, or with HTTP/2 too long.
    #[error(
        "{0} sent a response whose header is invalid, or over HTTP/2 longer than {limit} bytes",
        limit = MAX_RESPONSE_HEAD
    )]
    InvalidResponse(String, #[source] BoxError),
    /// The head of the response is too long.
    #[error(
        "{0} sent a response whose header is longer than {bytes} bytes or {lines} lines",
        bytes = MAX_RESPONSE_HEAD,
        lines = MAX_RESPONSE_LINES
    )]
    ResponseHeadTooLarge(String),
    /// The app switched protocols, although the request asked for no upgrade.
    #[error("{0} switched protocols, although the request did not ask for it")]
    UnrequestedUpgrade(String),
    /// The app accepted a WebSocket with a `Sec-WebSocket-Accept` that does not match.
    #[error("{0} accepted a WebSocket with a wrong Sec-WebSocket-Accept")]
    WebSocketAcceptMismatch(String),
    /// The request asks for a WebSocket, and the upstream speaks only HTTP/2.
    #[error("{0} is asked for a WebSocket, which h2c cannot carry; give its route an http upstream")]
    WebSocketUnsupported(String),
    /// The response has a transfer coding that cannot be passed on.
    #[error("{0} answered with a transfer coding other than chunked, or with an invalid Content-Length")]
    UnsupportedTransferCoding(String),
    /// The request body is longer than `limits.body_bytes`, which is this.
    #[error("the request body is longer than limits.body_bytes, {0} bytes")]
    BodyTooLarge(u64),
}

impl UpstreamError {
    /// `upstream` is the endpoint that was tried last.
    pub(super) fn new(error: SendError, upstream: String, body_bytes: Option<u64>) -> Self {
        match error {
            SendError::Connect(error) => Self::Connect(upstream, error),
            SendError::Timeout => Self::Timeout(upstream),
            SendError::Busy => Self::Busy(upstream),
            SendError::Broken(error) => Self::Broken(upstream, error.into()),
            SendError::InvalidResponse(error) => Self::InvalidResponse(upstream, error.into()),
            SendError::ResponseHeadTooLarge => Self::ResponseHeadTooLarge(upstream),
            SendError::BodyTooLarge => Self::BodyTooLarge(body_bytes.unwrap_or(0)),
            SendError::ClientDisconnected(error) => Self::ClientDisconnected(error.into()),
            SendError::WebSocketUnsupported => Self::WebSocketUnsupported(upstream),
        }
    }
}
