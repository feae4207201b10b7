//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use super::connection_registry::{AddressPermit, ConnectionPermit, ConnectionRegistry};
use super::connection_state::ConnectionState;
use super::http2_request::{self, Rejection};
use super::peek_stream::{ObservedStream, PeekStream, RequestGuard, Socket, TrackedBody};
use super::proxy_protocol;
use super::settings::{ServerSettings, TooManyConnections};
use crate::client::Peer;

/// What every HTTP/2 connection begins with (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// hyper keeps more than this many headers in a slower way.
const USUAL_HEADERS: usize = 100;
/// How many bytes of a response are held for a client that does not read, of each
/// request that it has under way.
const AHEAD: usize = 64 * 1024;
/// Requests that a client may have taken back before they were looked at.
const PENDING_RESETS: usize = 20;

/// A connection that was accepted, and what it is served by.
pub(super) struct Connection {
    pub(super) peer: Peer,
    pub(super) state: Arc<ConnectionState>,
    pub(super) permit: ConnectionPermit,
    pub(super) address_permit: Option<AddressPermit>,
    /// The other end is one whose PROXY header counts, and must be there.
    pub(super) proxy_header_expected: bool,
    pub(super) registry: Arc<ConnectionRegistry>,
    pub(super) settings: Arc<ServerSettings>,
    pub(super) tls: Option<TlsAcceptor>,
}

/// What counts a connection for as long as its stream lasts.
type Permits = (ConnectionPermit, Option<AddressPermit>);

/// A versions' word for "answer what you have, and end".
trait Graceful: Future {
    fn finish(self: Pin<&mut Self>);
}

impl Connection {
    /// Serves requests until the client is done, too slow, or told to end. What only
    /// some connections come to is boxed: an idle one holds no room for TLS or for
    /// the other version of HTTP.
    pub(super) async fn run<S, F, B>(mut self, socket: Socket, service: S)
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let state = Arc::clone(&self.state);
        let mut stream = PeekStream::new(socket);
        if self.proxy_header_expected {
            match unless_closing(&state, proxy_protocol::read(&mut stream)).await {
                None => return,
                // A balancer's health check may only connect.
                Some(Err(error)) if stream.peeked().is_empty() => {
                    tracing::debug!(%error, "a connection ended before its PROXY header");
                    return;
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, peer = ?self.peer.addr, "a connection has no usable PROXY header");
                    return;
                }
                Some(Ok(source)) => {
                    self.peer.addr = source.or(self.peer.addr);
                    match self.settings.permit_for(&self.peer, &self.registry) {
                        Ok(permit) => self.address_permit = permit,
                        Err(TooManyConnections) => return,
                    }
                }
            }
        }
        let Some(tls) = self.tls.take() else {
            match unless_closing(&state, has_http2_preface(&mut stream)).await {
                None => {}
                Some(Err(error)) => tracing::debug!(%error, "a client left before its first request"),
                Some(Ok(true)) => Box::pin(self.http2(stream, service)).await,
                Some(Ok(false)) => Box::pin(self.http1(stream, service)).await,
            }
            return;
        };
        match Box::pin(unless_closing(&state, tls.accept(stream))).await {
            None => {}
            Some(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Some(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Box::pin(self.http2(stream, service)).await
            }
            Some(Ok(stream)) => Box::pin(self.http1(stream, service)).await,
        }
    }

    async fn http1<S, F, B>(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: S)
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Self { peer, state, permit, address_permit, settings, .. } = self;
        let answer = service_fn(|mut request: Request<Incoming>| {
            let guard = RequestGuard::begin(&state);
            request.extensions_mut().insert(peer);
            let expects = request.headers().contains_key(EXPECT);
            if expects {
                state.listen_for_continue();
            }
            let answer = if state.take_fragment() {
                Answer::Refused(Rejection::Fragment)
            } else if *request.method() == Method::CONNECT && request.uri().authority().is_none() {
                // With a path it is a word of HTTP/2's (RFC 8441).
                Answer::Refused(Rejection::Protocol)
            } else {
                Answer::Service(Box::pin(service(request)))
            };
            answer.given(guard, expects)
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(None).max_header_size(settings.header_bytes);
        if settings.headers != USUAL_HEADERS {
            builder.max_headers(settings.headers);
        }
        let io = ObservedStream::<_, Permits>::new(stream, Arc::clone(&state), (permit, address_permit));
        let connection = builder.serve_connection(TokioIo::new(io), answer).with_upgrades();
        drive(connection, &state).await;
    }

    async fn http2<S, F, B>(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, service: S)
    where
        S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Self { peer, state, permit, address_permit, settings, .. } = self;
        state.is_http2();
        let answer = service_fn(|mut request: Request<Incoming>| {
            let guard = RequestGuard::begin(&state);
            let head = *request.method() == Method::HEAD;
            request.extensions_mut().insert(peer);
            let (answer, tunnel) = match http2_request::into_http1(request, settings.headers, || {
                Arc::new(RequestGuard::tunnel(&state))
            }) {
                Ok((request, tunnel)) => (Answer::Service(Box::pin(service(request))), tunnel),
                Err(rejection) => (Answer::Refused(rejection), false),
            };
            let given = answer.given(guard, false);
            async move {
                let mut response = given.await?;
                http2_request::answered(&mut response, tunnel);
                // With HTTP/1 hyper sees to it.
                Ok::<_, Infallible>(if head { response.map(TrackedBody::without_body) } else { response })
            }
        });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .enable_connect_protocol()
            .max_concurrent_streams(settings.streams)
            .max_pending_accept_reset_streams(PENDING_RESETS)
            .max_send_buf_size(AHEAD)
            .max_header_list_size(u32::try_from(settings.header_bytes).unwrap_or(u32::MAX));
        let io = ObservedStream::<_, Permits>::new(stream, Arc::clone(&state), (permit, address_permit));
        drive(builder.serve_connection(TokioIo::new(io), answer), &state).await;
    }
}

/// Serves a connection until it is over or told to end.
async fn drive<C, E>(connection: C, state: &ConnectionState)
where
    C: Graceful<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let mut stopping = false;
    let served = std::future::poll_fn(|cx| {
        state.listen(cx.waker());
        if state.is_stopping() {
            if state.is_cut() {
                return Poll::Ready(Ok(()));
            }
            if !stopping {
                stopping = true;
                connection.as_mut().finish();
            }
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = served.await {
        tracing::debug!(%error, "a client's connection broke");
    }
    state.leave();
}

/// Waits for what comes before the first request; `None` if the connection is told
/// to end meanwhile.
async fn unless_closing<T>(state: &ConnectionState, before: impl Future<Output = T>) -> Option<T> {
    let mut before = pin!(before);
    std::future::poll_fn(|cx| {
        state.listen(cx.waker());
        if state.is_stopping() { Poll::Ready(None) } else { before.as_mut().poll(cx).map(Some) }
    })
    .await
}

/// Whether the client speaks HTTP/2 without having asked (h2c by prior knowledge).
async fn has_http2_preface(stream: &mut PeekStream<Socket>) -> std::io::Result<bool> {
    loop {
        let begin = stream.peeked();
        let compared = begin.len().min(PREFACE.len());
        if begin.get(..compared) != PREFACE.get(..compared) {
            return Ok(false);
        }
        if compared == PREFACE.len() {
            return Ok(true);
        }
        if stream.peek_more().await? == 0 {
            // Whatever it was to become; HTTP/1 knows what to do with the end.
            return Ok(false);
        }
    }
}

/// Where a request's answer is from.
enum Answer<F> {
    Service(F),
    Refused(Rejection),
}

impl<F, B> Answer<F>
where
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// The answer, once it is there. A panic ends this request alone; everything
    /// it shares is behind locks that stay whole. `expects`: the client waits for 100
    /// before it sends its body; if there is none, it must not send it on the same
    /// connection any more (RFC 9110, section 10.1.1).
    async fn given(
        self,
        guard: RequestGuard,
        expects: bool,
    ) -> Result<Response<TrackedBody<Either<B, Full<Bytes>>>>, Infallible> {
        let mut response = match self {
            Self::Refused(rejection) => plain(rejection.status(), rejection.line()),
            Self::Service(answer) => match AssertUnwindSafe(answer).catch_unwind().await {
                Ok(response) => response.map(Either::Left),
                Err(_) => {
                    plain(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here; it was logged\n")
                }
            },
        };
        if expects && guard.told_nothing() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| TrackedBody::new(body, guard)))
    }
}

/// An answer without any of the gate's pages.
fn plain<B>(status: StatusCode, line: &'static str) -> Response<Either<B, Full<Bytes>>> {
    let mut response = Response::new(Either::Right(Full::from(line)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

impl<I, S, B> Graceful for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<I, S, B, E> Graceful for http2::Connection<I, S, E>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}
