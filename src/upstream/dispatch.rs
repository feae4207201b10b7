//! One request and its response, on a connection of the pool.

use std::io;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, Parts, Scheme};
use http::{Method, Request, Response, Uri, Version};
use http_body::Body;

use super::address::UpstreamUrl;
use super::expect_continue::{self, ContinueGuard};
use super::pool::{Checkout, ConnectError, Connection, Pool, PoolLimits};
use super::request_body::RequestBody;
use super::response_body::ResponseBody;
use super::stall_detector::{Fault, StallDetector};

/// A connection unused for longer than this may have been closed by the app at
/// this very moment; a request on it is prepared to be sent once more.
const MAYBE_STALE: Duration = Duration::from_millis(500);

/// What a request needs of its connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct DispatchOptions {
    pub(super) limits: PoolLimits,
    /// It asks for a WebSocket.
    pub(super) upgrade: bool,
    /// There is another address to send it to.
    pub(super) elsewhere: bool,
}

/// Why a request got no response.
#[derive(Debug)]
pub(super) enum SendError {
    Connect(io::Error),
    Timeout,
    Busy,
    Broken(hyper::Error),
    TooLarge,
    /// The client went away in the middle of its body.
    Client(hyper::Error),
    /// The connection cannot become a WebSocket.
    NoWebSocket,
}

/// A request without a response.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: SendError,
    /// The request, if it may be sent to another address: nothing was sent, or
    /// nothing can happen twice.
    pub(super) request: Option<Box<Request<RequestBody>>>,
    /// The connection was a kept one: that it broke says nothing of the address.
    pub(super) kept: bool,
}

impl Pool {
    /// Sends on a kept connection or a new one. A kept one that turns out to be
    /// closed is replaced as long as nothing can happen twice: when nothing was
    /// sent yet, or when the method is idempotent and there is no body
    /// (RFC 9110, section 9.2.2).
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
        options: DispatchOptions,
    ) -> Result<Response<ResponseBody>, Failed> {
        let bodyless = request.body().is_end_stream();
        let repeatable = bodyless && is_idempotent(request.method());
        let stall_detector = request.body().stall_detector().cloned();
        let mut fresh = false;
        loop {
            let found = if options.upgrade {
                Box::pin(self.for_websocket(options.limits)).await
            } else {
                self.find(options.limits, fresh).await
            };
            let Checkout { connection, unused } = match found {
                Ok(found) => found,
                Err(error) => {
                    return Err(Failed {
                        error: error.into(),
                        request: Some(Box::new(request)),
                        kept: false,
                    });
                }
            };
            let sent = match connection {
                Connection::Http1(mut connection) => {
                    into_http1(&mut request);
                    if !bodyless {
                        announce_body(&mut request);
                    }
                    let suspect = !fresh && unused.is_some_and(|unused| unused > MAYBE_STALE);
                    let copy =
                        (repeatable && (options.elsewhere || suspect)).then(|| bodyless_copy(&request));
                    let owed = expectation(&mut request, bodyless);
                    match connection.sender.try_send_request(request).await {
                        Ok(response) => {
                            if let Some(owed) = &owed {
                                owed.answered();
                            }
                            let lease = self.lease(Connection::Http1(connection), stall_detector, owed);
                            return Ok(response.map(|body| ResponseBody::incoming(body, lease)));
                        }
                        Err(mut error) => (error.take_message(), error.into_error(), copy),
                    }
                }
                Connection::Http2(mut stream) => {
                    if options.upgrade {
                        return Err(Failed { error: SendError::NoWebSocket, request: None, kept: false });
                    }
                    into_http2(&mut request, self.url());
                    let copy = bodyless.then(|| bodyless_copy(&request));
                    match stream.send(request).await {
                        Ok(response) => {
                            let lease = self.lease(Connection::Http2(stream), stall_detector, None);
                            return Ok(response.map(|body| ResponseBody::incoming(body, lease)));
                        }
                        Err(mut error) => {
                            let unsent = error.take_message();
                            let error = error.into_error();
                            if unsent.is_some() {
                                stream.retire();
                            }
                            // Any method may be sent again where the app says that it
                            // did nothing about it.
                            let unprocessed = unsent.is_none() && stream.was_not_processed(&error);
                            let copy = copy.filter(|_| unprocessed || repeatable);
                            (unsent, error, copy)
                        }
                    }
                }
            };
            // What went wrong on a kept connection is tried again on a new one, and
            // what went wrong on a new one elsewhere.
            let (unsent, error, copy) = sent;
            match (unsent.or(copy), unused) {
                (Some(again), Some(_)) if !fresh => {
                    request = again;
                    fresh = true;
                }
                (again, _) => {
                    let error = SendError::broken(error, stall_detector.as_deref());
                    return Err(Failed { error, request: again.map(Box::new), kept: unused.is_some() });
                }
            }
        }
    }

    /// A WebSocket needs a connection that speaks HTTP/1.1, which becomes its own.
    async fn for_websocket(&self, limits: PoolLimits) -> Result<Checkout, ConnectError> {
        if self.connector().may_multiplex() || self.url().is_https() {
            self.find_http1(limits).await
        } else {
            self.find(limits, false).await
        }
    }
}

/// Match the body back if the client waits to be asked for it. Without a body there
/// is nothing to wait for.
fn expectation(request: &mut Request<RequestBody>, bodyless: bool) -> Option<ContinueGuard> {
    if !request.headers().contains_key(EXPECT) {
        return None;
    }
    if !bodyless && expect_continue::is_expected(request.headers()) {
        return Some(expect_continue::hold(request));
    }
    request.headers_mut().remove(EXPECT);
    None
}

/// Says that a `GET` has a body whose length is not known: without a word of it the
/// library sends none with such methods.
fn announce_body(request: &mut Request<RequestBody>) {
    if matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.headers().contains_key(CONTENT_LENGTH)
    {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Origin form and `Host` (RFC 9112, section 3.2).
fn into_http1(request: &mut Request<RequestBody>) {
    if request.version() == Version::HTTP_11 {
        return;
    }
    *request.version_mut() = Version::HTTP_11;
    let host = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(target) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(target);
    }
}

/// `:scheme` and `:authority` (RFC 9113, section 8.3.1), the latter in place of
/// `Host`; the path stays as it is.
fn into_http2(request: &mut Request<RequestBody>, url: &UpstreamUrl) {
    if request.version() == Version::HTTP_2 {
        return;
    }
    *request.version_mut() = Version::HTTP_2;
    // Asking for a body takes a round trip here too, but nothing tells us of the
    // answer.
    request.headers_mut().remove(EXPECT);
    request.headers_mut().remove(TRANSFER_ENCODING);
    if request.body().is_end_stream()
        && request.headers().get(CONTENT_LENGTH).is_some_and(|length| length == "0")
    {
        // hyper says it again from the body.
        request.headers_mut().remove(CONTENT_LENGTH);
    }
    let host = request.headers_mut().remove(HOST);
    let authority = host.as_ref().and_then(|host| Authority::try_from(host.as_bytes()).ok());
    // `Host` may be empty (RFC 9112, section 3.2), and `:authority` not.
    let authority = authority.or_else(|| Authority::try_from(url.authority.as_str()).ok());
    let mut parts = Parts::default();
    parts.scheme = Some(if url.is_https() { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = authority;
    parts.path_and_query = request.uri().path_and_query().cloned();
    match Uri::from_parts(parts) {
        Ok(uri) => *request.uri_mut() = uri,
        // Without an authority there is no such form; `Host` says it too.
        Err(_) => {
            if let Some(host) = host {
                request.headers_mut().insert(HOST, host);
            }
        }
    }
}

fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    )
}

/// The head of a request without a body, to be sent once more.
fn bodyless_copy(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::empty());
    request.method().clone_into(copy.method_mut());
    request.uri().clone_into(copy.uri_mut());
    request.headers().clone_into(copy.headers_mut());
    *copy.version_mut() = request.version();
    copy
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
    /// A connection that broke, unless it was the request's body that broke it.
    fn broken(error: hyper::Error, body: Option<&StallDetector>) -> Self {
        match body.and_then(StallDetector::fault) {
            None => Self::Broken(error),
            Some(Fault::TooLarge) => Self::TooLarge,
            Some(Fault::Client) => Self::Client(error),
        }
    }
}
