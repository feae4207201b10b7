//! Drives a connection until it is complete or its close signal comes.

use std::pin::{Pin, pin};
use std::task::Poll;

use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};

use super::connection_state::ConnectionState;

/// A connection of hyper, of either version.
pub(super) trait GracefulConnection: Future {
    /// Finishes the requests in flight, then closes.
    fn graceful_shutdown(self: Pin<&mut Self>);
}

/// Drives the connection to its end.
pub(super) async fn drive<C, E>(connection: C, state: &ConnectionState)
where
    C: GracefulConnection<Output = Result<(), E>>,
    E: std::fmt::Display,
{
    let mut connection = pin!(connection);
    let signal = state.close_signal();
    let mut is_shutting_down = false;
    let served = std::future::poll_fn(|cx| {
        signal.register(cx.waker());
        if signal.is_closing() {
            if signal.is_aborted() {
                return Poll::Ready(Ok(()));
            }
            if !is_shutting_down {
                is_shutting_down = true;
                connection.as_mut().graceful_shutdown();
            }
        }
        connection.as_mut().poll(cx)
    });
    if let Err(error) = served.await {
        tracing::debug!(%error, "a client connection failed");
    }
    state.leave_http();
}

/// The output of `future`, which runs before the first request; `None` if the close
/// signal comes first.
pub(super) async fn unless_closing<T>(state: &ConnectionState, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let signal = state.close_signal();
    std::future::poll_fn(|cx| {
        signal.register(cx.waker());
        if signal.is_closing() { Poll::Ready(None) } else { future.as_mut().poll(cx).map(Some) }
    })
    .await
}

impl<I, S, B> GracefulConnection for http1::UpgradeableConnection<I, S>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}

impl<I, S, B, E> GracefulConnection for http2::Connection<I, S, E>
where
    S: hyper::service::HttpService<Incoming, ResBody = B>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    I: hyper::rt::Read + hyper::rt::Write + Unpin,
    B: Body + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    E: hyper::rt::bounds::Http2ServerConnExec<S::Future, B>,
{
    fn graceful_shutdown(self: Pin<&mut Self>) {
        Self::graceful_shutdown(self);
    }
}
