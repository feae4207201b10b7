//! Where allowed requests go: pick a target, send, stream back.
//!
//! Nothing is sent without a [`Grant`], a value only the gate's policy makes.

mod address;
mod body;
mod connect;
mod headers;
mod pool;
mod tunnel;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use address::{UpstreamUrl, UpstreamUrlError};
use body::Progress;
pub use body::{RequestBody, RequestBodyError, ResponseBody};
use connect::Connector;
pub use connect::TlsSetupError;
use pool::{Pool, SendError};

use crate::client::ExtendedConnect;
use crate::gate::Grant;

/// How requests are sent on.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "made by the configuration or in code, with every field said")]
pub struct UpstreamSettings {
    /// Where requests go that no route sends elsewhere.
    pub default: UpstreamUrl,
    /// Where each route sends its requests, in the order of the gate's routes.
    pub routes: Vec<Option<UpstreamUrl>>,
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// Until the response's headers; a stream that moves has no limit.
    pub response_timeout: Duration,
    /// A PEM file with the authorities to trust for https, instead of the
    /// system's.
    pub ca_file: Option<PathBuf>,
    /// The longest request body; `None` is no limit.
    pub body_bytes: Option<u64>,
}

/// Sends requests to the app; cheap to clone.
#[derive(Debug, Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// One pool for each address.
    pools: Vec<Pool>,
    /// Which pool each route uses, and at the end the default's.
    routes: Vec<usize>,
    default: usize,
    response_timeout: Duration,
    body_bytes: Option<u64>,
    tunnels: TaskTracker,
    stop: CancellationToken,
}

/// A request as it goes out.
struct Prepared {
    request: Request<RequestBody>,
    /// It asks for a WebSocket.
    upgrade: bool,
    /// How its body moves, if it has one.
    progress: Option<Arc<Progress>>,
}

/// Why there is no answer from the app.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No connection could be made; nothing was sent.
    #[error("{0} does not accept connections: {1}")]
    Connect(String, std::io::Error),
    /// No connection, or no response, in time.
    #[error("{0} did not answer in time")]
    Timeout(String),
    /// The connection broke before there was a response.
    #[error("{0} closed the connection without an answer: {1}")]
    Broken(String, hyper::Error),
    /// It switched to another protocol without being asked.
    #[error("{0} switched protocols without being asked to")]
    Unasked(String),
    /// The request's body is longer than `limits.body_bytes`, which is this.
    #[error("the request's body is longer than {0} bytes")]
    TooLarge(u64),
}

impl Upstream {
    /// Prepares the pools; connects to nothing yet. Tunnels (WebSockets) run in
    /// `tunnels` and end when `stop` is cancelled.
    ///
    /// # Errors
    /// [`TlsSetupError`] if an upstream is https and its authorities cannot be
    /// loaded.
    pub fn new(
        settings: &UpstreamSettings,
        tunnels: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, TlsSetupError> {
        let urls = || settings.routes.iter().flatten().chain([&settings.default]);
        let tls =
            if urls().any(|url| url.https) { Some(connect::tls(settings.ca_file.as_deref())?) } else { None };
        let mut pools: Vec<Pool> = Vec::new();
        let mut index_of = |url: &UpstreamUrl| {
            pools.iter().position(|pool| *pool.url() == *url).unwrap_or_else(|| {
                let tls = tls.clone().filter(|_| url.https);
                pools.push(Pool::new(Connector::new(url.clone(), tls, settings.connect_timeout)));
                pools.len() - 1
            })
        };
        let default = index_of(&settings.default);
        let routes = settings.routes.iter().map(|url| url.as_ref().map_or(default, &mut index_of)).collect();
        Ok(Self {
            inner: Arc::new(Inner {
                pools,
                routes,
                default,
                response_timeout: settings.response_timeout,
                body_bytes: settings.body_bytes,
                tunnels,
                stop,
            }),
        })
    }

    /// The same with other settings; requests under way go on as they are.
    ///
    /// # Errors
    /// Those of [`Upstream::new`].
    pub fn reloaded(&self, settings: &UpstreamSettings) -> Result<Self, TlsSetupError> {
        Self::new(settings, self.inner.tunnels.clone(), self.inner.stop.clone())
    }

    /// Sends a request that may enter and returns the response, its body still
    /// on the way. The path is sent byte for byte as it came.
    ///
    /// # Errors
    /// See [`UpstreamError`].
    pub async fn send(
        &self,
        grant: &Grant,
        request: Request<Incoming>,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let inner = &*self.inner;
        let index = grant.route().and_then(|route| inner.routes.get(route).copied()).unwrap_or(inner.default);
        let Some(pool) = inner.pools.get(index) else {
            return Err(UpstreamError::Timeout("no upstream".to_owned()));
        };
        let Prepared { mut request, upgrade, progress } = self.prepare(request, pool.url())?;
        let from_client = upgrade.then(|| hyper::upgrade::on(&mut request));
        let sending = pool.send(request);
        let response = match progress {
            None => tokio::time::timeout(inner.response_timeout, sending).await.ok(),
            // An upload that moves has no limit; one that stands still does.
            Some(progress) => progress.watch(sending, inner.response_timeout).await,
        };
        let mut response = match response {
            Some(Ok(response)) => response,
            Some(Err(SendError::TooLarge)) => {
                return Err(UpstreamError::TooLarge(inner.body_bytes.unwrap_or(0)));
            }
            Some(Err(SendError::Timeout)) | None => {
                return Err(UpstreamError::Timeout(pool.url().to_string()));
            }
            Some(Err(SendError::Connect(error))) => {
                return Err(UpstreamError::Connect(pool.url().to_string(), error));
            }
            Some(Err(SendError::Broken(error))) => {
                return Err(UpstreamError::Broken(pool.url().to_string(), error));
            }
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(from_client) = from_client.filter(|_| headers::is_websocket(response.headers())) else {
                return Err(UpstreamError::Unasked(pool.url().to_string()));
            };
            let to_app = hyper::upgrade::on(&mut response);
            let tunnel = tunnel::run(from_client, to_app, grant.clone(), inner.stop.clone());
            inner.tunnels.spawn(tunnel);
            headers::clean_upgrade(response.headers_mut());
            return Ok(response.map(|_| ResponseBody::empty()));
        }
        headers::clean_response(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        Ok(response)
    }

    /// The request as it goes out.
    fn prepare(&self, request: Request<Incoming>, url: &UpstreamUrl) -> Result<Prepared, UpstreamError> {
        let limit = self.inner.body_bytes;
        if let Some(limit) = limit
            && request.body().size_hint().lower() > limit
        {
            return Err(UpstreamError::TooLarge(limit));
        }
        let (mut parts, body) = request.into_parts();
        let has_version =
            parts.version == Version::HTTP_11 || parts.extensions.get::<ExtendedConnect>().is_some();
        let upgrade = has_version && headers::is_websocket(&parts.headers);
        headers::clean_request(&mut parts.headers, upgrade);
        parts.version = Version::HTTP_11;
        // HTTP/1.0 may come without one, and HTTP/1.1 may not go without.
        if !parts.headers.contains_key(HOST)
            && let Ok(host) = HeaderValue::from_str(&url.authority)
        {
            parts.headers.insert(HOST, host);
        }
        // Origin form (RFC 9112, section 3.2.1): the path alone, as it was judged.
        if parts.uri.authority().is_some()
            && let Some(target) = parts.uri.path_and_query()
        {
            parts.uri = http::Uri::from(target.clone());
        }
        let (body, progress) = RequestBody::new(body, limit);
        Ok(Prepared { request: Request::from_parts(parts, body), upgrade, progress })
    }
}
