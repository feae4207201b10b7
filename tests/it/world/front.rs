//! The ways to put the gate in front of the app.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use huggate::{Gate, Peer};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tower::{Layer, Service, ServiceExt};

use super::App;

/// A way to put the gate in front of the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Front {
    /// The Tower layer around the app itself, served by hyper.
    Layer,
    /// The Tower layer around an axum router that the app is part of.
    Axum,
}

/// All of them: what holds for one must hold for the others.
pub(crate) const FRONTS: [Front; 2] = [Front::Layer, Front::Axum];

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
    }
}

/// hyper, with the peer in each request's extensions.
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
            request.extensions_mut().insert(Peer { addr: Some(addr), tls: false });
            service.clone().oneshot(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::spawn(async move {
            // A client that goes away in the middle is no news.
            let _ = connection.await;
        });
    }
}
