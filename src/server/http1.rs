//! Serves HTTP/1 on a connection.

use std::sync::Arc;

use bytes::Bytes;
use http::header::EXPECT;
use http::{Method, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection_context::ConnectionContext;
use super::graceful_shutdown::drive;
use super::observed_stream::ObservedStream;
use super::rejection::Rejection;
use super::request_guard::RequestGuard;
use super::service_response::ResponseSource;
use crate::client::RequestContext;

/// hyper's own limit; with any other it allocates the header buffer per request.
const DEFAULT_MAX_HEADERS: usize = 100;

/// Serves requests with `service` until the connection is closed.
pub(super) async fn serve<S, F, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    context: ConnectionContext,
    service: S,
) where
    S: Fn(Request<Incoming>, RequestContext) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let ConnectionContext { peer, state, permits, settings } = context;
    let respond = service_fn(|request: Request<Incoming>| {
        let guard = RequestGuard::begin(&state);
        let expects_continue = request.headers().contains_key(EXPECT);
        if expects_continue {
            state.expect_continue();
        }
        let source = if state.take_raw_fragment() {
            ResponseSource::Rejected(Rejection::RawFragment)
        } else if *request.method() == Method::CONNECT && request.uri().authority().is_none() {
            // CONNECT with a path exists only in HTTP/2 (RFC 8441).
            ResponseSource::Rejected(Rejection::UnsupportedConnect)
        } else {
            ResponseSource::Service(Box::pin(service(request, RequestContext::new(peer))))
        };
        source.respond(guard, expects_continue)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(None).max_header_size(settings.header_bytes);
    if settings.headers != DEFAULT_MAX_HEADERS {
        builder.max_headers(settings.headers);
    }
    let stream = ObservedStream::new(stream, Arc::clone(&state), permits);
    let connection = builder.serve_connection(TokioIo::new(stream), respond).with_upgrades();
    drive(connection, &state).await;
}
