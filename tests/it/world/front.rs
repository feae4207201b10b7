//! The deployments of the gate in front of the app.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use huggate::proxy::Proxy;
use huggate::server::{Listener, Listeners, Running, Server, ServerSettings};
use huggate::upstream::{Upstream, UpstreamSettings, UpstreamUrl};
use huggate::{Gate, Peer};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};

use super::App;

/// A deployment of the gate in front of the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    /// The Tower layer around the app itself, served by hyper.
    Layer,
    /// The Tower layer around an axum router that contains the app.
    Axum,
    /// The reverse proxy, with the app on a separate socket.
    Proxy,
}

/// All deployments; tests must hold for each of them.
pub(crate) const FRONTS: [Front; 3] = [Front::Layer, Front::Axum, Front::Proxy];

/// Serves `app` behind `gate` on `listener` until the runtime ends.
pub(crate) async fn serve(front: Front, gate: &Gate, app: &App, listener: TcpListener) {
    let app = app.clone();
    match front {
        Front::Layer => {
            let service = tower::service_fn(move |request| app.clone().answer(request));
            tokio::spawn(accept(listener, gate.layer().layer(service)));
        }
        Front::Axum => {
            let service = tower::service_fn(move |request| app.clone().answer(request));
            let router = axum::Router::new().fallback_service(service).layer(gate.layer());
            tokio::spawn(accept(listener, router));
        }
        Front::Proxy => {
            let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = UpstreamUrl::parse(&format!("http://{}", behind.local_addr().unwrap())).unwrap();
            let service = tower::service_fn(move |request| app.clone().answer(request));
            tokio::spawn(accept(behind, service));
            proxy(gate, &upstream(url), server(), listener);
        }
    }
}

/// The default upstream settings of the proxy in tests.
pub(crate) fn upstream(default: UpstreamUrl) -> UpstreamSettings {
    // Longer than any time that a test skips at once.
    let stream = Duration::from_secs(30 * 24 * 3600);
    UpstreamSettings::new(default).response_timeout(Duration::from_secs(30)).stream_timeout(stream)
}

/// The default listener settings of the proxy in tests.
pub(crate) fn server() -> ServerSettings {
    ServerSettings::default()
        .listen([])
        .drain_timeout(Duration::from_secs(10))
        .connections(1_000)
        // Some tests skip hours at once.
        .stream_timeout(Duration::from_secs(30 * 24 * 3600))
}

/// Runs the proxy; the returned handle stops it and reports when it has stopped.
pub(crate) fn proxy(
    gate: &Gate,
    upstream: &UpstreamSettings,
    server: ServerSettings,
    listener: TcpListener,
) -> (Running, tokio::task::JoinHandle<bool>) {
    let running = Running::default();
    let upstream = Upstream::new(upstream, &running).unwrap();
    let proxy = Proxy::new(gate.clone(), upstream);
    let server = Server::new(server, running.clone()).unwrap();
    let service = move |request, context| {
        let proxy = proxy.clone();
        async move { proxy.handle(request, context).await }
    };
    (running, tokio::spawn(server.run(listeners(listener), service)))
}

/// A socket that is already bound.
pub(crate) fn listeners(listener: TcpListener) -> Listeners {
    Listeners::new(vec![Listener::from_tcp(listener.into_std().unwrap()).unwrap()])
}

/// hyper, with the peer in the extensions of each request.
async fn accept<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    loop {
        let (stream, addr) = listener.accept().await.unwrap();
        let service = service.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer::new(addr));
            service.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::spawn(async move {
            // A client that disconnects is not an error.
            let _ = connection.await;
        });
    }
}
