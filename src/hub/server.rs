//! Connections, routes, and the faults that strike on the way.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE,
    LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower_service::Service;

use super::behaviour::{Endpoint, Fault};
use super::broken::{Cut, Flood};
use super::rate::Standing;
use super::state::Shared;
use super::{authorize, browser, device, discovery, pages, random, register, token, userinfo, whoami};

/// The most a client may send in a body; a consent for hundreds of
/// organisations takes 10 KiB.
const BODY: usize = 256 * 1024;
/// Connections at a time.
const CONNECTIONS: usize = 4096;

/// The address of the client of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// Takes connections until `stop`, then ends them all.
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

/// Takes connections for ever.
async fn accept(listener: &TcpListener, connections: &mut JoinSet<()>, hub: &Shared, router: &Router) {
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS {
            connections.join_next().await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, peer)) => {
                connections.spawn(converse(stream, peer, Arc::clone(hub), router.clone()));
            }
            // Out of file descriptors, say: others may close theirs.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Every endpoint there is; `/oauth/revoke` and the end of sessions are not,
/// since the real one has none (card, section 1).
fn router(hub: Shared) -> Router {
    Router::new()
        .route("/", get(browser::home))
        .route("/hub.css", get(pages::style))
        .route("/avatars/{name}", get(pages::avatar))
        .route("/.well-known/openid-configuration", get(discovery::document))
        .route("/.well-known/oauth-authorization-server", get(discovery::document))
        .route("/oauth/jwks", get(discovery::jwks))
        .route("/oauth/authorize", get(authorize::show).post(authorize::submit))
        .route("/oauth/token", post(token::token))
        .route("/oauth/userinfo", get(userinfo::userinfo).post(userinfo::userinfo))
        .route("/oauth/device", get(browser::device).post(device::begin))
        .route("/oauth/register", post(register::register))
        .route("/api/whoami-v2", get(whoami::whoami))
        .route("/login", get(browser::login).post(browser::sign_in))
        .route("/logout", get(browser::logout))
        .route(browser::CONNECTED, get(browser::connected).post(browser::disconnect))
        .fallback(missing)
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(hub)
}

/// What is not there.
async fn missing() -> Response {
    pages::notice(StatusCode::NOT_FOUND, "Not found", "There is nothing at this address.")
}

/// Serves one connection.
async fn converse(stream: TcpStream, peer: SocketAddr, hub: Shared, router: Router) {
    // A delay of Nagle's kind would only blur measurements; without it all works too.
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
        // A client that goes away in the middle is no news.
        _ = &mut connection => {}
        () = reset.notified() => {
            // Closing without lingering sends a reset instead of an end.
            let _ = connection.into_parts().io.into_inner().set_zero_linger();
        }
    }
}

/// Counts a request, lets its fault strike, or answers it.
async fn answer(
    hub: &Shared,
    mut router: Router,
    reset: &Notify,
    peer: SocketAddr,
    request: Request<Body>,
) -> Response {
    let endpoint = Endpoint::of(request.uri().path());
    let fault = {
        let mut state = hub.state();
        *state.calls.entry(endpoint).or_default() += 1;
        state.last.insert(endpoint, head(&request));
        state.behaviour.strike(endpoint)
    };
    let api = !matches!(endpoint, Endpoint::Authorize | Endpoint::Other);
    let preflight = api && request.method() == Method::OPTIONS;
    let mut response = match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Reset) => {
            reset.notify_one();
            std::future::pending().await
        }
        Some(Fault::Status(status)) => broken(hub, status),
        Some(Fault::RetryAfter(seconds)) => {
            let headers = [(RETRY_AFTER, seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, headers, "slow down").into_response()
        }
        Some(Fault::NotJson) => axum::response::Html("<!doctype html><title>Oops</title>").into_response(),
        Some(Fault::Huge(size)) => {
            ([(CONTENT_TYPE, "application/json")], Body::new(Flood::new(size))).into_response()
        }
        Some(Fault::Redirect(to)) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
        Some(Fault::Answer { status, content_type, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, [(CONTENT_TYPE, content_type)], body).into_response()
        }
        None if preflight => StatusCode::NO_CONTENT.into_response(),
        None => route(&mut router, peer, request).await,
        Some(Fault::Slow(delay)) => {
            tokio::time::sleep(delay).await;
            route(&mut router, peer, request).await
        }
        Some(Fault::Truncated) => {
            let (parts, body) = route(&mut router, peer, request).await.into_parts();
            let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
            Response::from_parts(parts, Body::new(Cut::new(whole)))
        }
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&format!("Root={}", random::uuid())) {
        headers.insert("x-request-id", id);
    }
    if api {
        // Applications without a server ask from the browser.
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
    }
    response
}

/// A request without its body.
fn head(request: &Request<Body>) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.headers_mut() = request.headers().clone();
    head
}

/// The answer of the endpoint.
async fn route(router: &mut Router, peer: SocketAddr, mut request: Request<Body>) -> Response {
    request.extensions_mut().insert(Peer(peer.ip()));
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// An error of the provider's own; for 429 with the headers of a used-up limit.
fn broken(hub: &Shared, status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = whoami::error(status, "This failure was asked for");
    if status == StatusCode::TOO_MANY_REQUESTS {
        let quota = hub.state().behaviour.rate_limit;
        Standing::used_up(quota, hub.now()).write(response.headers_mut());
    }
    response
}
