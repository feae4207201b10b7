//! Asking an address how it does, without a request to carry there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use http::header::{HOST, HeaderValue, USER_AGENT};
use http::uri::PathAndQuery;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::cluster::Endpoint;
use super::connector::NewConnection;
use super::request_body::RequestBody;

/// How often.
const EVERY: Duration = Duration::from_secs(5);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many failures in a row, and it gets no more requests; one success brings it
/// back.
const FAILURES: u32 = 2;

/// The path of an app that says how it does: `/health`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthPath(PathAndQuery);

/// Why a text is no such path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a path; write it like \"/health\"")]
#[non_exhaustive]
pub struct NotAPath;

/// One address that is asked, for as long as somebody wants to know.
#[derive(Debug)]
pub(super) struct HealthCheck {
    path: HealthPath,
    state: Arc<State>,
    _until_dropped: DropGuard,
}

#[derive(Debug)]
struct State {
    endpoint: Arc<Endpoint>,
    well: AtomicBool,
    begun: AtomicBool,
    stop: CancellationToken,
}

impl HealthPath {
    /// Reads a path, with or without a query.
    ///
    /// # Errors
    /// [`NotAPath`]: it does not begin with a slash, or holds what no path does.
    pub fn parse(text: &str) -> Result<Self, NotAPath> {
        if !text.starts_with('/') || text.contains('#') {
            return Err(NotAPath);
        }
        text.parse().map(Self).map_err(|_| NotAPath)
    }
}

impl HealthCheck {
    /// `every` is for tests.
    pub(super) fn new(endpoint: Arc<Endpoint>, path: HealthPath) -> Self {
        let stop = CancellationToken::new();
        let state = Arc::new(State {
            endpoint,
            well: AtomicBool::new(true),
            begun: AtomicBool::new(false),
            stop: stop.clone(),
        });
        let check = Self { path, state, _until_dropped: stop.drop_guard() };
        check.begin();
        check
    }

    pub(super) fn is_for(&self, endpoint: &Arc<Endpoint>, path: &HealthPath) -> bool {
        Arc::ptr_eq(&self.state.endpoint, endpoint) && self.path == *path
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.state.well.load(Ordering::Relaxed)
    }

    /// Begins to ask, where there is a runtime for it; at the latest with the first
    /// request.
    pub(super) fn begin(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.state.begun.load(Ordering::Relaxed) || self.state.begun.swap(true, Ordering::Relaxed) {
            return;
        }
        let (state, path) = (Arc::clone(&self.state), self.path.clone());
        runtime.spawn(async move {
            let stop = state.stop.clone();
            stop.run_until_cancelled(state.watch(path)).await;
        });
    }
}

impl State {
    async fn watch(&self, path: HealthPath) {
        let mut failures = 0_u32;
        let mut every = tokio::time::interval(EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let upstream = self.endpoint.pool.url();
            let asked = tokio::time::timeout(PATIENCE, self.ask(&path)).await;
            match asked.unwrap_or_else(|_| Err("it does not answer".to_owned())) {
                Ok(()) => {
                    failures = 0;
                    if !self.well.swap(true, Ordering::Relaxed) {
                        tracing::info!(%upstream, "an upstream is well again");
                    }
                }
                Err(why) => {
                    failures = failures.saturating_add(1);
                    if failures >= FAILURES && self.well.swap(false, Ordering::Relaxed) {
                        tracing::warn!(%upstream, %why, "an upstream is not well");
                    }
                }
            }
        }
    }

    /// On a connection of its own: that one can be made is part of the answer.
    async fn ask(&self, path: &HealthPath) -> Result<(), String> {
        let connector = self.endpoint.pool.connector();
        let connected = connector.connect(None).await.map_err(|error| error.to_string())?;
        let url = self.endpoint.pool.url();
        let mut request = Request::new(RequestBody::empty());
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static("huggate"));
        let response = match connected {
            NewConnection::Http1(mut sender) => {
                *request.uri_mut() = path.0.clone().into();
                if let Ok(host) = HeaderValue::from_str(&url.authority) {
                    request.headers_mut().insert(HOST, host);
                }
                sender.send_request(request).await.map_err(|error| error.to_string())?
            }
            NewConnection::Http2(connection) => {
                let scheme = if url.is_https() { "https" } else { "http" };
                let uri = http::Uri::builder().scheme(scheme).authority(url.authority.as_str());
                *request.uri_mut() =
                    uri.path_and_query(path.0.clone()).build().map_err(|error| error.to_string())?;
                let mut stream = connection.stream().ok_or("it takes no requests")?;
                stream.send(request).await.map_err(|error| error.into_error().to_string())?
            }
        };
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            Ok(())
        } else {
            Err(format!("it answers {status}"))
        }
    }
}
