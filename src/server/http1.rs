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
use super::http1_stream::Http1Stream;
use super::observed_stream::ObservedStream;
use super::rejection::Rejection;
use super::request_guard::RequestGuard;
use super::service_response::{Asker, ResponseSource};
use crate::client::{RequestContext, wants_html};

/// hyper's own limit; with any other it allocates the header buffer per request.
const DEFAULT_MAX_HEADERS: usize = 100;

/// hyper's own limit for the bytes of a head that is not complete.
const DEFAULT_BUFFER: usize = 400 * 1024;

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
    let each = RequestContext::new(peer);
    let client = peer.addr.map(|addr| addr.ip().to_canonical());
    let respond = service_fn(|request: Request<Incoming>| {
        let guard = RequestGuard::begin(&state);
        // Comparing the names costs less than computing the hash of one.
        let expects_continue = request.headers().keys().any(|name| *name == EXPECT);
        if expects_continue {
            state.expect_continue();
        }
        let wants_page = |request: &Request<Incoming>| wants_html(request.headers());
        let source = if state.take_raw_fragment() {
            ResponseSource::Rejected { rejection: Rejection::RawFragment, wants_page: wants_page(&request) }
        } else if *request.method() == Method::CONNECT && request.uri().authority().is_none() {
            // CONNECT with a path exists only in HTTP/2 (RFC 8441).
            let wants_page = wants_page(&request);
            ResponseSource::Rejected { rejection: Rejection::UnsupportedConnect, wants_page }
        } else {
            ResponseSource::Service(Box::pin(service(request, each.of_next_request(None))))
        };
        source.respond(guard, Asker { client, expects_continue })
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_header_size(settings.header_bytes)
        // Http1Stream tells a client that has only closed its side from one that has gone.
        .half_close(true);
    if settings.header_bytes > DEFAULT_BUFFER {
        builder.max_buf_size(settings.header_bytes);
    }
    if settings.headers != DEFAULT_MAX_HEADERS {
        builder.max_headers(settings.headers);
    }
    let stream = ObservedStream::new(stream, Arc::clone(&state), permits);
    let stream = Http1Stream::new(stream, Arc::clone(&state), client);
    let connection = builder.serve_connection(TokioIo::new(stream), respond).with_upgrades();
    drive(connection, &state).await;
}
