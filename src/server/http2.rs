//! Serves HTTP/2 on a connection.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection_context::ConnectionContext;
use super::graceful_shutdown::drive;
use super::http2_stream::Http2Stream;
use super::http2_translation::{HeadLimits, into_http1, response_into_http2};
use super::observed_stream::ObservedStream;
use super::request_guard::RequestGuard;
use super::service_response::{Asker, ResponseSource};
use super::tracked_body::TrackedBody;
use crate::client::{ExtendedConnect, RequestContext, wants_html};

/// How many bytes of each response are buffered for a client that does not read.
const SEND_BUFFER: usize = 64 * 1024;
/// How many requests a client may cancel before the service has seen them.
const MAX_PENDING_RESETS: usize = 20;

/// How much longer than `limits.header_bytes` the header list of HTTP/2 may be, by its count.
const HEADER_LIST_FACTOR: usize = 16;

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
    state.set_http2();
    let each = RequestContext::new(peer);
    let client = peer.addr.map(|addr| addr.ip().to_canonical());
    let limits = HeadLimits { lines: settings.headers, bytes: settings.header_bytes };
    let respond = service_fn(|mut request: Request<Incoming>| {
        let guard = RequestGuard::begin(&state);
        let is_head = *request.method() == Method::HEAD;
        let extended_connect = || ExtendedConnect::new(RequestGuard::begin_tunnel(&state));
        let mut is_websocket = false;
        let source = match into_http1(&mut request, limits, extended_connect) {
            Ok(extended_connect) => {
                is_websocket = extended_connect.is_some();
                let context = each.of_next_request(extended_connect);
                ResponseSource::Service(Box::pin(service(request, context)))
            }
            Err(rejection) => {
                ResponseSource::Rejected { rejection, wants_page: wants_html(request.headers()) }
            }
        };
        let responding = source.respond(guard, Asker { client, expects_continue: false });
        async move {
            let mut response = responding.await?;
            response_into_http2(&mut response, is_websocket);
            // hyper drops the body itself only with HTTP/1.
            Ok::<_, Infallible>(if is_head { response.map(TrackedBody::into_empty) } else { response })
        }
    });
    // HTTP/2 counts 32 bytes more for each field, and each piece of a cookie is one. What is
    // longer than `limits` is refused by its translation, in our form.
    let header_list = settings.header_bytes.saturating_mul(HEADER_LIST_FACTOR);
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(settings.streams)
        .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(header_list).unwrap_or(u32::MAX));
    let stream = ObservedStream::new(stream, Arc::clone(&state), permits);
    let stream = Http2Stream::new(stream, header_list);
    drive(builder.serve_connection(TokioIo::new(stream), respond), &state).await;
}
