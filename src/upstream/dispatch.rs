//! Sends one request on a pooled connection, and retries it where that is safe.

use std::io;
use std::time::Duration;

use http::header::EXPECT;
use http::{Request, Response};
use http_body::Body;
use hyper::client::conn::TrySendError;

use super::connection::{Checkout, Connection};
use super::expect_continue::{self, ContinueGuard};
use super::http2_connection::{self, Http2Stream};
use super::pool::{ConnectError, Pool, PoolLimits};
use super::request_body::RequestBody;
use super::request_head::{announce_body, copy_without_body, into_http1, into_http2, is_idempotent};
use super::response_body::ResponseBody;
use super::stall_detector::{BodyFailure, StallDetector};

/// The app may be closing a connection that was idle for longer than this, so a copy of
/// the request is kept for a retry.
const STALE_AFTER: Duration = Duration::from_millis(500);

/// How to send a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct DispatchOptions {
    pub(super) limits: PoolLimits,
    /// The request asks for a WebSocket.
    pub(super) upgrade: bool,
    /// It has `Expect`.
    pub(super) has_expectation: bool,
    /// Another endpoint is left to try.
    pub(super) can_fail_over: bool,
}

/// Why a request got no response.
#[derive(Debug)]
pub(super) enum SendError {
    Connect(io::Error),
    Timeout,
    Busy,
    Broken(hyper::Error),
    /// The response has no valid head. The app answered, so this says nothing about the
    /// endpoint.
    InvalidResponse(hyper::Error),
    /// The head of the response is too long.
    ResponseHeadTooLarge,
    BodyTooLarge,
    /// The client disconnected before it had sent the whole body.
    ClientDisconnected(hyper::Error),
    /// HTTP/2 connections to upstreams carry no WebSockets.
    WebSocketUnsupported,
}

/// A request that got no response.
#[derive(Debug)]
pub(super) struct DispatchError {
    pub(super) error: SendError,
    /// The request, if it is safe to send it to another endpoint.
    pub(super) retry: Option<Box<Request<RequestBody>>>,
    /// Whether the connection was reused.
    pub(super) reused: bool,
}

/// A request that could not be sent, or whose connection broke before the response.
struct Unanswered {
    error: hyper::Error,
    /// The request, if it is safe to send it again.
    retry: Option<Box<Request<RequestBody>>>,
}

/// Sends on a reused connection or a new one. A reused connection that turns out to be
/// closed is replaced, if nothing was sent yet, or if the method is idempotent and there
/// is no body (RFC 9110, section 9.2.2).
pub(super) async fn dispatch(
    pool: &Pool,
    mut request: Box<Request<RequestBody>>,
    options: DispatchOptions,
) -> Result<Response<ResponseBody>, DispatchError> {
    let has_body = !request.body().is_end_stream();
    let is_repeatable = !has_body && is_idempotent(request.method());
    let upload = request.body().stall_detector().cloned();
    let mut fresh = false;
    loop {
        let checkout = if options.upgrade {
            Box::pin(checkout_for_websocket(pool, options.limits)).await
        } else {
            pool.checkout(options.limits, fresh).await
        };
        let Checkout { connection, idle_for } = match checkout {
            Ok(checkout) => checkout,
            Err(error) => return Err(DispatchError::without_connection(error, request)),
        };
        let reused = idle_for.is_some();
        let (sent, connection, expect) = match connection {
            Connection::Http1(mut connection) => {
                into_http1(&mut request);
                let may_be_stale = !fresh && idle_for.is_some_and(|idle_for| idle_for > STALE_AFTER);
                let keeps_copy = is_repeatable && (options.can_fail_over || may_be_stale);
                let copy = keeps_copy.then(|| Box::new(copy_without_body(&request)));
                let expect = prepare_body(&mut request, has_body, options.has_expectation);
                let sent = connection.sender.try_send_request(*request).await;
                let sent = sent.map_err(|error| Unanswered::on_http1(error, copy));
                (sent, Connection::Http1(connection), expect)
            }
            Connection::Http2(_) if options.upgrade => {
                return Err(DispatchError::websocket_unsupported());
            }
            Connection::Http2(mut stream) => {
                into_http2(&mut request, pool.url());
                let copy = (!has_body).then(|| Box::new(copy_without_body(&request)));
                let sent = stream.send(*request).await;
                let sent = sent.map_err(|error| Unanswered::on_http2(&stream, error, copy, is_repeatable));
                (sent, Connection::Http2(stream), None)
            }
        };
        let Unanswered { error, retry } = match sent {
            Ok(response) => {
                let lease = pool.lease(connection, upload, expect);
                return Ok(response.map(|body| ResponseBody::incoming(body, lease)));
            }
            Err(unanswered) => unanswered.unless_answered(),
        };
        match retry {
            // Again on a new connection; after a failure there, only another endpoint is
            // left to try.
            Some(retry) if reused && !fresh => (request, fresh) = (retry, true),
            retry => {
                let error = SendError::without_response(error, upload.as_deref());
                return Err(DispatchError { error, retry, reused });
            }
        }
    }
}

/// A WebSocket takes over its connection, which must speak HTTP/1.1.
async fn checkout_for_websocket(pool: &Pool, limits: PoolLimits) -> Result<Checkout, ConnectError> {
    if pool.connector().may_multiplex() || pool.url().is_https() {
        pool.checkout_http1(limits).await
    } else {
        pool.checkout(limits, false).await
    }
}

/// Announces the body of an HTTP/1.1 request, and delays it if the client waits for 100.
/// Without a body there is nothing to wait for, and `Expect` is removed.
fn prepare_body(
    request: &mut Request<RequestBody>,
    has_body: bool,
    has_expectation: bool,
) -> Option<ContinueGuard> {
    if has_body {
        announce_body(request);
    }
    if !has_expectation {
        return None;
    }
    if has_body && expect_continue::is_expected(request.headers()) {
        let (waiter, guard) = expect_continue::observe(request);
        request.body_mut().wait_for_continue(waiter);
        return Some(guard);
    }
    request.headers_mut().remove(EXPECT);
    None
}

impl DispatchError {
    fn without_connection(error: ConnectError, request: Box<Request<RequestBody>>) -> Self {
        Self { error: error.into(), retry: Some(request), reused: false }
    }

    fn websocket_unsupported() -> Self {
        Self { error: SendError::WebSocketUnsupported, retry: None, reused: false }
    }
}

impl Unanswered {
    fn on_http1(
        mut error: TrySendError<Request<RequestBody>>,
        copy: Option<Box<Request<RequestBody>>>,
    ) -> Self {
        Self { retry: error.take_message().map(Box::new).or(copy), error: error.into_error() }
    }

    /// With HTTP/2 any method may be sent again if the peer guarantees that it did not
    /// process the request.
    fn on_http2(
        stream: &Http2Stream,
        mut error: TrySendError<Request<RequestBody>>,
        copy: Option<Box<Request<RequestBody>>>,
        is_repeatable: bool,
    ) -> Self {
        let unsent = error.take_message().map(Box::new);
        let error = error.into_error();
        if unsent.is_some() {
            stream.drain_connection();
        }
        let was_not_processed = unsent.is_none() && stream.was_not_processed(&error);
        let retry = unsent.or(copy.filter(|_| was_not_processed || is_repeatable));
        Self { error, retry }
    }

    /// Without the retry if there was a response that cannot be passed on: another
    /// attempt would get the same.
    fn unless_answered(self) -> Self {
        let is_answered =
            self.error.is_parse_too_large() || http2_connection::is_malformed_response(&self.error);
        Self { retry: self.retry.filter(|_| !is_answered), error: self.error }
    }
}

impl From<ConnectError> for SendError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Timeout => Self::Timeout,
            ConnectError::Busy => Self::Busy,
            ConnectError::Io(error) => Self::Connect(error),
        }
    }
}

impl SendError {
    /// The connection or the response failed, or the request body made them fail.
    fn without_response(error: hyper::Error, upload: Option<&StallDetector>) -> Self {
        match upload.and_then(StallDetector::failure) {
            None if error.is_parse_too_large() => Self::ResponseHeadTooLarge,
            None if error.is_parse() || http2_connection::is_malformed_response(&error) => {
                Self::InvalidResponse(error)
            }
            None => Self::Broken(error),
            Some(BodyFailure::TooLarge) => Self::BodyTooLarge,
            Some(BodyFailure::Client) => Self::ClientDisconnected(error),
        }
    }
}
