//! Connections to one upstream, used again and again.
//!
//! Small on purpose, and ours: a general client's pool costs more than all of
//! the gate. A connection belongs to one request at a time (HTTP/1.1); a sender
//! for HTTP/2 will be another variant of [`Sender`].

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

use super::address::UpstreamUrl;
use super::body::{RequestBody, RequestBodyError, ResponseBody};
use super::connect::{ConnectError, Connector};

/// How many unused connections are kept.
const MAX_IDLE: usize = 256;
/// How long one is kept unused. Servers close theirs after 5 to 75 seconds; one
/// that was closed is noticed when it is taken out.
const IDLE_LIFE: Duration = Duration::from_secs(60);
/// A connection unused for longer than this may have been closed by the app at
/// this very moment; a request on it is prepared to be sent once more.
const MAYBE_STALE: Duration = Duration::from_millis(500);
/// How long a connection may take to be ready for its next request.
const SETTLE: Duration = Duration::from_secs(1);

/// The connections to one upstream.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    idle: Arc<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    /// The freshest at the back.
    senders: Mutex<VecDeque<(Sender, Instant)>>,
}

/// What sends requests on one connection.
#[derive(Debug)]
pub(super) enum Sender {
    Http1(SendRequest<RequestBody>),
}

/// A connection in use, on its way back to the pool.
#[derive(Debug)]
pub(super) struct Lease {
    sender: Sender,
    idle: Arc<Idle>,
    /// The request had a body, which may still be on its way although the
    /// response is over.
    with_body: bool,
}

/// Why a request got no response.
#[derive(Debug)]
pub(super) enum SendError {
    Connect(io::Error),
    Timeout,
    Broken(hyper::Error),
    TooLarge,
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, idle: Arc::default() }
    }

    pub(super) fn url(&self) -> &UpstreamUrl {
        self.connector.url()
    }

    /// Sends on a kept connection or a new one. A kept one that turns out to be
    /// closed is replaced as long as nothing can happen twice: when nothing was
    /// sent yet, or when the method is idempotent and there is no body
    /// (RFC 9110, section 9.2.2).
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<ResponseBody>, SendError> {
        let with_body = !request.body().is_end_stream();
        while let Some((mut sender, unused)) = self.idle.take() {
            if !sender.is_ready().await {
                continue;
            }
            let again = (unused > MAYBE_STALE && !with_body && is_idempotent(request.method()))
                .then(|| bodyless(&request));
            match sender.send(request).await {
                Ok(response) => return Ok(self.lease(response, sender, with_body)),
                Err(Failure::NotSent(unsent)) => request = *unsent,
                Err(Failure::Broken(error)) => {
                    let Some(once_more) = again else { return Err(error.into()) };
                    request = once_more;
                    break;
                }
            }
        }
        let mut sender = self.connector.connect().await?;
        match sender.send(request).await {
            Ok(response) => Ok(self.lease(response, sender, with_body)),
            Err(Failure::NotSent(_)) => Err(SendError::Connect(io::ErrorKind::ConnectionReset.into())),
            Err(Failure::Broken(error)) => Err(error.into()),
        }
    }

    fn lease(&self, response: Response<Incoming>, sender: Sender, with_body: bool) -> Response<ResponseBody> {
        let lease = Lease { sender, idle: Arc::clone(&self.idle), with_body };
        response.map(|body| ResponseBody::incoming(body, lease))
    }
}

impl Lease {
    /// The response is over: the connection waits for its next request.
    pub(super) fn give_back(self) {
        if !self.with_body {
            self.idle.put(self.sender);
            return;
        }
        // An app may answer before it has read all of an upload. The rest still
        // has to pass, or the connection is of no more use.
        tokio::spawn(async move {
            let Self { mut sender, idle, .. } = self;
            if sender.is_ready().await {
                idle.put(sender);
            }
        });
    }
}

impl Idle {
    /// The freshest connection that is not known to be closed, and how long it
    /// was unused.
    fn take(&self) -> Option<(Sender, Duration)> {
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((sender, since)) = senders.pop_back() {
            let unused = since.elapsed();
            if unused >= IDLE_LIFE {
                // Those in front are older still.
                senders.clear();
                return None;
            }
            if !sender.is_closed() {
                return Some((sender, unused));
            }
        }
        None
    }

    fn put(&self, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if senders.len() >= MAX_IDLE {
            senders.pop_front();
        }
        senders.push_back((sender, Instant::now()));
    }
}

/// A request that failed on one connection.
enum Failure {
    /// Not a byte was sent: here it is again.
    NotSent(Box<Request<RequestBody>>),
    Broken(hyper::Error),
}

impl Sender {
    fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
        }
    }

    /// Waits the moment that the connection needs to be done with the last
    /// request; `false` if it is of no more use.
    async fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1(sender) if sender.is_ready() => true,
            Self::Http1(sender) => matches!(tokio::time::timeout(SETTLE, sender.ready()).await, Ok(Ok(()))),
        }
    }

    async fn send(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, Failure> {
        match self {
            Self::Http1(sender) => {
                sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
                    Some(unsent) => Failure::NotSent(Box::new(unsent)),
                    None => Failure::Broken(error.into_error()),
                })
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
fn bodyless(request: &Request<RequestBody>) -> Request<RequestBody> {
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
            ConnectError::Io(error) => Self::Connect(error),
        }
    }
}

impl From<hyper::Error> for SendError {
    fn from(error: hyper::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(&error);
        while let Some(inner) = cause {
            if matches!(inner.downcast_ref(), Some(RequestBodyError::TooLarge)) {
                return Self::TooLarge;
            }
            cause = inner.source();
        }
        Self::Broken(error)
    }
}
