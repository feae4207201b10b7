//! Connections to the app: pooling, protocols, limits.

pub(crate) mod connection_limit;
mod expect_continue;
mod grpc;
mod http2;
mod idle_timeouts;
mod load_balancing;
mod reload;
mod streams;
mod tls;
mod unix_socket;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use huggate::upstream::{Target, UpstreamSettings, UpstreamUrl};
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::proxy::TestProxy;

/// The body of an app's response.
pub(crate) type AppBody = UnsyncBoxBody<Bytes, Infallible>;

/// The addresses of one app.
pub(crate) fn target(urls: &[String]) -> Target {
    Target::new(urls.iter().map(|url| UpstreamUrl::parse(url).unwrap()).collect::<Vec<_>>())
}

/// A proxy without access rules in front of these addresses.
pub(crate) async fn proxy_for(urls: &[String], change: impl FnOnce(&mut UpstreamSettings)) -> TestProxy {
    TestProxy::start_with(
        SocketAddr::from(([127, 0, 0, 1], 1)),
        |upstream| {
            upstream.default = target(urls);
            change(upstream);
        },
        |_| {},
    )
    .await
}

pub(crate) fn reply(text: impl Into<Bytes>) -> Response<AppBody> {
    Response::new(Full::new(text.into()).boxed_unsync())
}

/// A request as the app sees it, as text.
fn describe(request: &Request<Incoming>) -> String {
    let headers: String = request
        .headers()
        .iter()
        .map(|(name, value)| format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    format!("{:?} {} {}\n{headers}", request.version(), request.method(), request.uri())
}

/// An app that speaks HTTP/2 without TLS.
pub(crate) struct Http2App {
    address: SocketAddr,
    /// How many connections it has accepted.
    connections: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Http2App {
    pub(crate) async fn start<F>(
        service: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
        change: impl Fn(&mut Builder<TokioExecutor>) + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Response<AppBody>> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut builder = Builder::new(TokioExecutor::new());
                change(&mut builder);
                tokio::spawn(serve_http2(builder, stream, service.clone()));
            }
        });
        Self { address, connections, task: task.abort_handle() }
    }

    pub(crate) fn url(&self) -> String {
        format!("h2c://{}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Http2App {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves one connection of such an app until it is closed.
async fn serve_http2<F>(
    builder: Builder<TokioExecutor>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    service: impl Fn(Request<Incoming>) -> F + Send + Sync + 'static,
) where
    F: Future<Output = Response<AppBody>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = service(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // Clients may disconnect at any time.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

/// A GET request for `path` with `Connection: close`.
fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: app.example\r\nconnection: close\r\n\r\n").into_bytes()
}
