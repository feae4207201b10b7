//! Active health checks: requests an endpoint's health path at an interval.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use http::header::{HOST, HeaderValue, USER_AGENT};
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::connector::NewConnection;
use super::endpoint::Endpoint;
use super::health_path::HealthPath;
use super::request_body::RequestBody;
use crate::causes::Causes;

const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(5);
/// After this many consecutive failures an endpoint gets no more requests; a single
/// success brings it back.
const UNHEALTHY_THRESHOLD: u32 = 2;

/// The health check of one endpoint; stops when it is dropped.
#[derive(Debug)]
pub(super) struct HealthCheck {
    path: HealthPath,
    state: Arc<State>,
    _stop_on_drop: DropGuard,
}

#[derive(Debug)]
struct State {
    endpoint: Arc<Endpoint>,
    healthy: AtomicBool,
    started: AtomicBool,
    stop: CancellationToken,
}

impl HealthCheck {
    pub(super) fn new(endpoint: Arc<Endpoint>, path: HealthPath) -> Self {
        let stop = CancellationToken::new();
        let state = Arc::new(State {
            endpoint,
            healthy: AtomicBool::new(true),
            started: AtomicBool::new(false),
            stop: stop.clone(),
        });
        let check = Self { path, state, _stop_on_drop: stop.drop_guard() };
        check.start();
        check
    }

    pub(super) fn checks(&self, endpoint: &Arc<Endpoint>, path: &HealthPath) -> bool {
        Arc::ptr_eq(&self.state.endpoint, endpoint) && self.path == *path
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.state.healthy.load(Ordering::Relaxed)
    }

    /// Starts the check on the current runtime, once. Without a runtime it starts with
    /// the first request.
    pub(super) fn start(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.state.started.load(Ordering::Relaxed) || self.state.started.swap(true, Ordering::Relaxed) {
            return;
        }
        let (state, path) = (Arc::clone(&self.state), self.path.clone());
        runtime.spawn(async move {
            let stop = state.stop.clone();
            stop.run_until_cancelled(state.run(path)).await;
        });
    }
}

impl State {
    async fn run(&self, path: HealthPath) {
        let mut failures = 0_u32;
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let url = self.endpoint.url();
            let checked = tokio::time::timeout(TIMEOUT, self.check(&path)).await;
            match checked.unwrap_or_else(|_| Err("it did not answer in time".to_owned())) {
                Ok(()) => {
                    failures = 0;
                    if !self.healthy.swap(true, Ordering::Relaxed) {
                        tracing::info!(upstream.address = %url, "an upstream endpoint is healthy again");
                    }
                }
                Err(reason) => {
                    failures = failures.saturating_add(1);
                    if failures >= UNHEALTHY_THRESHOLD && self.healthy.swap(false, Ordering::Relaxed) {
                        tracing::warn!(upstream.address = %url, %reason, "an upstream endpoint is unhealthy");
                    }
                }
            }
        }
    }

    /// Uses a new connection: whether one can be opened is part of the check.
    async fn check(&self, path: &HealthPath) -> Result<(), String> {
        let connector = self.endpoint.pool().connector();
        let connection = connector.connect(None).await.map_err(|error| Causes(&error).to_string())?;
        let url = self.endpoint.url();
        let path = path.path_and_query().clone();
        let mut request = Request::new(RequestBody::empty());
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("huggate"));
        let response = match connection {
            NewConnection::Http1(mut sender) => {
                *request.uri_mut() = path.into();
                if let Ok(host) = HeaderValue::from_str(&url.authority) {
                    request.headers_mut().insert(HOST, host);
                }
                sender.send_request(request).await.map_err(|error| Causes(&error).to_string())?
            }
            NewConnection::Http2(connection) => {
                let scheme = if url.is_https() { "https" } else { "http" };
                let uri = http::Uri::builder().scheme(scheme).authority(url.authority.as_str());
                *request.uri_mut() =
                    uri.path_and_query(path).build().map_err(|error| Causes(&error).to_string())?;
                let mut stream = connection.open_stream().ok_or("it allows no HTTP/2 streams")?;
                stream.send(request).await.map_err(|error| Causes(&error.into_error()).to_string())?
            }
        };
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            Ok(())
        } else {
            Err(format!("it answered with {status}"))
        }
    }
}
