//! One connection, from its first byte to its last.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use super::ServerSettings;
use super::activity::{Activity, Tracked, Watched};
use crate::client::Peer;

/// Serves requests until the client is done, too slow, or `stop` asks for the
/// end; then what is being answered still is.
pub(super) async fn serve<S, F, B>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    place: Option<OwnedSemaphorePermit>,
    settings: Arc<ServerSettings>,
    service: S,
    stop: CancellationToken,
) where
    S: Fn(Request<Incoming>) -> F + Clone + Send + 'static,
    F: Future<Output = Response<B>> + Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let activity = Arc::new(Activity::new(place));
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
    let answer = service_fn(|mut request: Request<Incoming>| {
        activity.begin();
        request.extensions_mut().insert(peer);
        let fragment = activity.take_fragment();
        let service = service.clone();
        let activity = Arc::clone(&activity);
        async move {
            let response = if fragment {
                plain(StatusCode::BAD_REQUEST, "the address of a request cannot have a raw # in it\n")
            } else {
                // The panic ends this request; everything it shares is behind
                // locks that stay whole.
                match AssertUnwindSafe(service(request)).catch_unwind().await {
                    Ok(response) => response.map(Either::Left),
                    Err(_) => {
                        plain(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here; it was logged\n")
                    }
                }
            };
            Ok::<_, Infallible>(response.map(|body| Tracked::new(body, activity)))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Ours tells headers from keep-alive.
        .header_read_timeout(None)
        .max_header_size(settings.header_bytes)
        .serve_connection(io, answer)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut stopping = false;
    // Whatever begins after a look has at least so long, so to look this often is
    // to be late for nothing.
    let often = settings.header_timeout.min(settings.idle_timeout);
    loop {
        let due = || activity.due(settings.header_timeout, settings.idle_timeout);
        let now = tokio::time::Instant::now();
        let next = due().map_or(now + often, |due| due.min(now + often));
        tokio::select! {
            result = &mut connection => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a client's connection broke");
                }
                return;
            }
            () = tokio::time::sleep_until(next) => {
                if due().is_some_and(|due| due <= tokio::time::Instant::now()) {
                    tracing::debug!("a client was silent for too long");
                    return;
                }
            }
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// An answer without any of the gate's pages.
fn plain<B>(status: StatusCode, line: &'static str) -> Response<Either<B, Full<Bytes>>> {
    let mut response = Response::new(Either::Right(Full::from(line)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
