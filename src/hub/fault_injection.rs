//! Counts requests, injects faults, and adds the headers that every response has.

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE,
    LOCATION, RETRY_AFTER,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::sync::Notify;
use tower_service::Service;

use super::behaviour::{Endpoint, Fault};
use super::faulty_body::{OversizedBody, TruncatedBody};
use super::peer::Peer;
use super::rate_limit::RateLimitStatus;
use super::state::Shared;
use super::{api_error, random};

/// Counts a request, then injects its fault or dispatches it to the endpoint.
pub(super) async fn answer(
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
        state.behaviour.next_fault(endpoint)
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
            ([(CONTENT_TYPE, "application/json")], Body::new(OversizedBody::new(size))).into_response()
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
            Response::from_parts(parts, Body::new(TruncatedBody::new(whole)))
        }
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&format!("Root={}", random::uuid())) {
        headers.insert("x-request-id", id);
    }
    if api {
        allow_any_origin(headers);
    }
    response
}

/// Browser-only clients call these endpoints from other origins.
fn allow_any_origin(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static("authorization, content-type"));
}

/// Copies a request without its body.
fn head(request: &Request<Body>) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.headers_mut() = request.headers().clone();
    head
}

/// The endpoint's response.
async fn route(router: &mut Router, peer: SocketAddr, mut request: Request<Body>) -> Response {
    request.extensions_mut().insert(Peer(peer.ip()));
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A response with an injected status; 429 carries the headers of an exhausted quota.
fn broken(hub: &Shared, status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = api_error::error(status, "This failure was injected");
    if status == StatusCode::TOO_MANY_REQUESTS {
        let quota = hub.state().behaviour.rate_limit;
        RateLimitStatus::used_up(quota, hub.now()).write(response.headers_mut());
    }
    response
}
