//! Accepting and serving connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::fault_injection::answer;
use super::router::router;
use super::state::Shared;

/// Maximum number of concurrent connections.
const MAX_CONNECTIONS: usize = 4096;

/// Accepts connections until `stop`, then closes them all.
pub(super) async fn serve(listener: TcpListener, hub: Shared, stop: Arc<Notify>) {
    let router = router(Arc::clone(&hub));
    let mut connections = JoinSet::new();
    tokio::select! {
        () = accept(&listener, &mut connections, &hub, &router) => {}
        () = stop.notified() => {}
    }
    drop(listener);
    connections.shutdown().await;
}

/// Accepts connections in a loop.
async fn accept(listener: &TcpListener, connections: &mut JoinSet<()>, hub: &Shared, router: &Router) {
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, peer)) => {
                connections.spawn(serve_connection(stream, peer, Arc::clone(hub), router.clone()));
            }
            // Out of file descriptors, for example: wait for some to be closed.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Serves one connection.
async fn serve_connection(stream: TcpStream, peer: SocketAddr, hub: Shared, router: Router) {
    // Nagle's algorithm would distort measurements; a failure to disable it does not matter.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(Notify::new());
    let service = {
        let reset = Arc::clone(&reset);
        service_fn(move |request: Request<hyper::body::Incoming>| {
            let (hub, router, reset) = (Arc::clone(&hub), router.clone(), Arc::clone(&reset));
            async move { Ok::<_, Infallible>(answer(&hub, router, &reset, peer, request.map(Body::new)).await) }
        })
    };
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // Clients may disconnect at any time.
        _ = &mut connection => {}
        () = reset.notified() => {
            // Closing with zero linger sends a RST instead of a FIN.
            let _ = connection.into_parts().io.into_inner().set_zero_linger();
        }
    }
}
