//! Where allowed requests go: pick a target, send, stream back.
//!
//! Nothing is sent without a [`Grant`], a value only the gate's policy makes.

mod address;
mod cluster;
mod cluster_builder;
mod connection_limit;
mod connector;
mod dispatch;
mod error;
mod expect_continue;
mod health_check;
mod hop_by_hop;
mod http2_connection;
mod pool;
mod request_body;
mod response_body;
mod settings;
mod stall_detector;
mod tls;
mod websocket;
mod websocket_frames;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode, Version};
use http_body::Body;
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use address::{UpstreamUrl, UpstreamUrlError};
use cluster::Cluster;
use cluster_builder::ClusterBuilder;
use dispatch::DispatchOptions;
pub use error::UpstreamError;
pub use health_check::{HealthPath, NotAPath};
use pool::PoolLimits;
pub use request_body::{RequestBody, RequestBodyError};
pub use response_body::{ResponseBody, ResponseBodyError};
pub use settings::{Target, UpstreamSettings};
use stall_detector::StallDetector;
use tls::Tls;
pub use tls::{ClientCertificate, TlsSetupError, UpstreamTls};

use crate::client::ExtendedConnect;
use crate::gate::Grant;

const SEC_WEBSOCKET_KEY: HeaderName = HeaderName::from_static("sec-websocket-key");

/// Sends requests to the app; cheap to clone.
#[derive(Debug, Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Where the requests of each route go, and at the end the default's.
    clusters: Vec<Cluster>,
    /// Which group each route uses.
    routes: Vec<usize>,
    default: usize,
    tls: Option<Tls>,
    limits: PoolLimits,
    response_timeout: Duration,
    stream_timeout: Duration,
    body_bytes: Option<u64>,
    tunnels: TaskTracker,
    stop: CancellationToken,
}

/// A request as it goes out.
struct OutgoingRequest {
    request: Request<RequestBody>,
    upgrade: Upgrade,
    /// It is gRPC's.
    grpc: bool,
    /// The client speaks HTTP/2.
    http2: bool,
    /// How its body moves, if it has one.
    stall_detector: Option<Arc<StallDetector>>,
}

/// Whether a request asks for a WebSocket.
enum Upgrade {
    No,
    /// As HTTP/1.1 does: the client looks at the answer itself.
    Http1,
    /// As HTTP/2 does, with a key of our listener's: the answer must have this.
    Http2 {
        accept: Option<HeaderValue>,
        held: ExtendedConnect,
    },
}

impl Upstream {
    /// Prepares the pools; connects to nothing yet, but to ask how an upstream does.
    /// Tunnels (WebSockets) run in `tunnels` and end when `stop` is cancelled.
    ///
    /// # Errors
    /// [`TlsSetupError`] if an upstream is https and its authorities or our
    /// certificate cannot be loaded.
    pub fn new(
        settings: &UpstreamSettings,
        tunnels: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, TlsSetupError> {
        Self::build(settings, None, tunnels, stop)
    }

    /// The same with other settings. The connections to addresses that are in both,
    /// with the same TLS, are used on; those to others are closed when their requests
    /// are over and nobody holds `self` any more.
    ///
    /// # Errors
    /// As [`Self::new`]; then nothing has changed.
    pub fn reloaded(&self, settings: &UpstreamSettings) -> Result<Self, TlsSetupError> {
        let Inner { tunnels, stop, .. } = &*self.inner;
        Self::build(settings, Some(&self.inner), tunnels.clone(), stop.clone())
    }

    fn build(
        settings: &UpstreamSettings,
        before: Option<&Inner>,
        tunnels: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, TlsSetupError> {
        let targets = || settings.routes.iter().flatten().chain([&settings.default]);
        let https = targets().flat_map(|target| &target.urls).any(UpstreamUrl::is_https);
        let tls_before = before.and_then(|before| before.tls.as_ref());
        let tls = https.then(|| Tls::load(&settings.tls, tls_before)).transpose()?;
        let mut clusters = ClusterBuilder::new(tls.as_ref(), before.map_or(&[], |before| &before.clusters));
        let default = clusters.index_of(&settings.default);
        let routes = settings.routes.iter();
        let routes = routes
            .map(|target| target.as_ref().map_or(default, |target| clusters.index_of(target)))
            .collect();
        let clusters = clusters.into_clusters();
        Ok(Self {
            inner: Arc::new(Inner {
                clusters,
                routes,
                default,
                tls,
                limits: PoolLimits { timeout: settings.connect_timeout, connections: settings.connections },
                response_timeout: settings.response_timeout,
                stream_timeout: settings.stream_timeout,
                body_bytes: settings.body_bytes,
                tunnels,
                stop,
            }),
        })
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
        let Some(cluster) = inner.clusters.get(index) else {
            return Err(UpstreamError::Timeout("no upstream".to_owned()));
        };
        for (_, check) in cluster.endpoints() {
            check.inspect(|check| check.begin());
        }
        let OutgoingRequest { mut request, upgrade, grpc, http2, stall_detector } =
            self.prepare(request, cluster)?;
        let from_client = upgrade.is_asked().then(|| hyper::upgrade::on(&mut request));
        let options = DispatchOptions { limits: inner.limits, upgrade: upgrade.is_asked(), elsewhere: false };
        // Pinned here, and not moved into whatever watches it.
        let sending = pin!(cluster.send(request, options));
        // gRPC has deadlines of its own.
        let limit = if grpc { inner.stream_timeout } else { inner.response_timeout };
        let response = match &stall_detector {
            None => tokio::time::timeout(limit, sending).await.ok(),
            // An upload that moves has no limit; one that stands still does.
            Some(stall_detector) => stall_detector.watch(sending, limit).await,
        };
        let mut response = match response {
            Some(Ok(response)) => response,
            Some(Err((error, upstream))) => return Err(UpstreamError::of(error, upstream, inner.body_bytes)),
            None if stall_detector.is_some_and(|stall_detector| stall_detector.awaits_client()) => {
                return Err(UpstreamError::SlowClient);
            }
            None => return Err(UpstreamError::Timeout(cluster.name())),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(from_client) = from_client.filter(|_| hop_by_hop::is_websocket(response.headers()))
            else {
                return Err(UpstreamError::Unasked(cluster.name()));
            };
            if !upgrade.is_accepted_by(response.headers()) {
                return Err(UpstreamError::NotAccepted(cluster.name()));
            }
            let to_app = hyper::upgrade::on(&mut response);
            let (grant, stop) = (grant.clone(), inner.stop.clone());
            let held = match upgrade {
                Upgrade::Http2 { held, .. } => Some(held),
                Upgrade::No | Upgrade::Http1 => None,
            };
            let terms = websocket::TunnelOptions { grant, stop, idle: inner.stream_timeout, _held: held };
            inner.tunnels.spawn(websocket::run(from_client, to_app, terms));
            hop_by_hop::clean_upgrade(response.headers_mut());
            return Ok(response.map(|_| ResponseBody::empty()));
        }
        if hop_by_hop::has_lost_coding(response.headers()) {
            return Err(UpstreamError::Coding(cluster.name()));
        }
        hop_by_hop::clean_response(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        Ok(response.map(|body| body.watched(inner.stream_timeout, stall_detector, http2)))
    }

    /// The request as it goes out, in the form of HTTP/1.1.
    fn prepare(
        &self,
        request: Request<Incoming>,
        cluster: &Cluster,
    ) -> Result<OutgoingRequest, UpstreamError> {
        let limit = self.inner.body_bytes;
        if let Some(limit) = limit
            && request.body().size_hint().lower() > limit
        {
            return Err(UpstreamError::TooLarge(limit));
        }
        let (mut parts, body) = request.into_parts();
        let http2 = parts.version == Version::HTTP_2;
        let upgrade = if let Some(held) = parts.extensions.remove::<ExtendedConnect>() {
            let accept = parts.headers.get(SEC_WEBSOCKET_KEY).map(hop_by_hop::websocket_accept);
            Upgrade::Http2 { accept, held }
        } else if parts.version == Version::HTTP_11 && hop_by_hop::is_websocket(&parts.headers) {
            Upgrade::Http1
        } else {
            Upgrade::No
        };
        let grpc = parts
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        hop_by_hop::clean_request(&mut parts.headers, upgrade.is_asked());
        parts.version = Version::HTTP_11;
        // HTTP/1.0 may come without one, HTTP/2 has it elsewhere, and HTTP/1.1 may
        // not go without.
        if !parts.headers.contains_key(HOST) {
            let named = parts.uri.authority().map_or(cluster.authority(), |authority| authority.as_str());
            if let Ok(host) = HeaderValue::from_str(named) {
                parts.headers.insert(HOST, host);
            }
        }
        // Origin form (RFC 9112, section 3.2.1): the path alone, as it was judged.
        if parts.uri.authority().is_some()
            && let Some(target) = parts.uri.path_and_query()
        {
            parts.uri = http::Uri::from(target.clone());
        }
        let (body, stall_detector) = RequestBody::new(body, limit);
        Ok(OutgoingRequest {
            request: Request::from_parts(parts, body),
            upgrade,
            grpc,
            http2,
            stall_detector,
        })
    }
}

impl Upgrade {
    fn is_asked(&self) -> bool {
        !matches!(self, Self::No)
    }

    /// Whether the answer comes from somebody who read the handshake.
    fn is_accepted_by(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::No | Self::Http1 => true,
            Self::Http2 { accept, .. } => {
                accept.is_some() && headers.get("sec-websocket-accept") == accept.as_ref()
            }
        }
    }
}
