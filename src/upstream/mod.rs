//! Sends allowed requests to the app, and streams the responses back.
//!
//! A request passes the files in this order: `outgoing_request` removes hop-by-hop
//! headers, `cluster` picks an endpoint, `pool` a connection, `dispatch` sends, and
//! `response_body` streams. Nothing is sent without a [`Grant`], which only the gate's
//! policy issues.

mod address;
mod cluster;
mod cluster_builder;
mod connection;
mod connection_limit;
mod connector;
mod dispatch;
mod endpoint;
mod error;
mod expect_continue;
mod health_check;
mod health_path;
mod hop_by_hop;
mod http2_connection;
mod idle_connections;
mod idle_timer;
mod lease;
mod leased_body;
mod load_balancer;
mod outgoing_request;
mod outlier_ejection;
mod pool;
mod reachability;
mod request_body;
mod request_head;
mod response_body;
mod response_wait;
mod settings;
mod stall_detector;
mod tls;
mod transport;
mod watched_body;
mod websocket;
mod websocket_frames;
mod websocket_handshake;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_LENGTH;
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use address::{UpstreamUrl, UpstreamUrlError};
use cluster::Cluster;
use cluster_builder::ClusterBuilder;
use dispatch::DispatchOptions;
pub use error::UpstreamError;
pub use health_path::{HealthPath, NotAPath};
use hop_by_hop::Framing;
pub use leased_body::ResponseBodyError;
use outgoing_request::OutgoingRequest;
use pool::PoolLimits;
pub use request_body::{RequestBody, RequestBodyError};
pub use response_body::ResponseBody;
use response_wait::NoResponse;
pub use settings::{Target, UpstreamSettings};
use tls::Tls;
pub use tls::{ClientCertificate, TlsSetupError, UpstreamTls};
use websocket::TunnelOptions;
use websocket_handshake::Upgrade;

use crate::client::{ExtendedConnect, FieldSet, is_websocket_handshake};
use crate::gate::Grant;
use crate::server::Running;

/// Sends requests to the app; cheap to clone.
#[derive(Debug, Clone)]
pub struct Upstream {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clusters: Vec<Cluster>,
    /// The cluster of each route.
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

impl Upstream {
    /// Prepares the connection pools and starts health checks. WebSockets belong to
    /// `running`: the drain waits for them, and they are closed when it stops.
    ///
    /// # Errors
    /// [`TlsSetupError`] if an upstream is https and its authorities or the client
    /// certificate cannot be loaded.
    pub fn new(settings: &UpstreamSettings, running: &Running) -> Result<Self, TlsSetupError> {
        Self::build(settings, None, running.tasks.clone(), running.stop.clone())
    }

    /// An upstream with other settings. Addresses that are in both keep their
    /// connections, unless their TLS settings have changed; the connections to others
    /// are closed when their requests are complete and `self` has been dropped.
    ///
    /// # Errors
    /// As [`Self::new`]; then nothing has changed.
    pub fn reloaded(&self, settings: &UpstreamSettings) -> Result<Self, TlsSetupError> {
        let Inner { tunnels, stop, .. } = &*self.inner;
        Self::build(settings, Some(&self.inner), tunnels.clone(), stop.clone())
    }

    fn build(
        settings: &UpstreamSettings,
        previous: Option<&Inner>,
        tunnels: TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, TlsSetupError> {
        let targets = || settings.routes.iter().flatten().chain([&settings.default]);
        let https = targets().flat_map(|target| &target.urls).any(UpstreamUrl::is_https);
        let previous_tls = previous.and_then(|previous| previous.tls.as_ref());
        let tls = https.then(|| Tls::load(&settings.tls, previous_tls)).transpose()?;
        let previous_clusters = previous.map_or(&[][..], |previous| &previous.clusters);
        let mut clusters = ClusterBuilder::new(tls.as_ref(), previous_clusters);
        let default = clusters.index_of(&settings.default);
        let routes = settings.routes.iter();
        let routes = routes
            .map(|target| target.as_ref().map_or(default, |target| clusters.index_of(target)))
            .collect();
        let clusters = clusters.build();
        Ok(Self {
            inner: Arc::new(Inner {
                clusters,
                routes,
                default,
                tls,
                limits: PoolLimits {
                    connect_timeout: settings.connect_timeout,
                    max_connections: settings.connections,
                    idle_timeout: settings.idle_timeout,
                },
                response_timeout: settings.response_timeout,
                stream_timeout: settings.stream_timeout,
                body_bytes: settings.body_bytes,
                tunnels,
                stop,
            }),
        })
    }

    /// Sends an allowed request and returns the response, whose body is streamed. The
    /// path is sent byte for byte. `extended_connect` comes with a WebSocket over HTTP/2,
    /// from the listener's [`RequestContext`](crate::client::RequestContext).
    ///
    /// What moves is use of the grant's session, and what is open ends with the grant: the
    /// request with [`UpstreamError::PermissionEnded`], a response body with an error, so
    /// that it does not look complete, and a WebSocket with the close code 1008.
    ///
    /// The gate passes the grant to the closure of [`Gate::handle_with_grant`]:
    ///
    /// ```
    /// # use huggate::upstream::{ResponseBody, Upstream, UpstreamError};
    /// # use huggate::{Gate, Peer, gate::GateBody};
    /// # use http::{Request, Response};
    /// # use hyper::body::Incoming;
    /// async fn forward(
    ///     gate: &Gate,
    ///     upstream: &Upstream,
    ///     peer: Peer,
    ///     request: Request<Incoming>,
    /// ) -> Result<Response<GateBody<ResponseBody>>, UpstreamError> {
    ///     let forward = async |request, grant, _client| upstream.send(&grant, request, None).await;
    ///     gate.handle_with_grant(Some(peer), request, forward).await
    /// }
    /// ```
    ///
    /// Nothing can be sent without one:
    ///
    /// ```compile_fail,E0061
    /// # use huggate::upstream::{ResponseBody, Upstream, UpstreamError};
    /// # use http::{Request, Response};
    /// # use hyper::body::Incoming;
    /// async fn forward(
    ///     upstream: &Upstream,
    ///     request: Request<Incoming>,
    /// ) -> Result<Response<ResponseBody>, UpstreamError> {
    ///     upstream.send(request, None).await
    /// }
    /// ```
    ///
    /// [`Gate::handle_with_grant`]: crate::Gate::handle_with_grant
    ///
    /// # Errors
    /// See [`UpstreamError`].
    // Not an async fn: the request that came would stay in the future besides the one sent.
    pub fn send(
        &self,
        grant: &Grant,
        request: Request<Incoming>,
        extended_connect: Option<ExtendedConnect>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, UpstreamError>> {
        let fields = FieldSet::of(request.headers());
        self.send_with_fields(grant, request, fields, extended_connect)
    }

    /// The same for a request whose fields are known.
    pub(crate) fn send_with_fields(
        &self,
        grant: &Grant,
        request: Request<Incoming>,
        fields: FieldSet,
        extended_connect: Option<ExtendedConnect>,
    ) -> impl Future<Output = Result<Response<ResponseBody>, UpstreamError>> {
        let inner = &*self.inner;
        let index = grant.route().and_then(|route| inner.routes.get(route).copied()).unwrap_or(inner.default);
        let prepared = match inner.clusters.get(index) {
            Some(cluster) => {
                cluster.start_health_checks();
                let (authority, limit) = (cluster.authority(), inner.body_bytes);
                OutgoingRequest::prepare(request, fields, extended_connect, authority, limit, grant)
                    .map(|outgoing| (cluster, outgoing))
            }
            None => Err(UpstreamError::Timeout("no upstream".to_owned())),
        };
        inner.exchange(grant, prepared)
    }
}

impl Inner {
    /// Sends a request that is ready, and waits for the head of its response.
    async fn exchange(
        &self,
        grant: &Grant,
        prepared: Result<(&Cluster, OutgoingRequest), UpstreamError>,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let (cluster, outgoing) = prepared?;
        let OutgoingRequest { request, upgrade, from_client, is_grpc, has_expectation, is_http2, upload } =
            outgoing;
        let options = DispatchOptions {
            limits: self.limits,
            upgrade: upgrade.is_requested(),
            has_expectation,
            can_fail_over: false,
        };
        // Pinned here, because moving the future into a timeout would copy it.
        let sending = pin!(cluster.send(request, options));
        // gRPC calls carry their own deadlines.
        let limit = if is_grpc { self.stream_timeout } else { self.response_timeout };
        let sent = response_wait::response(sending, upload.as_deref(), limit, grant).await;
        let mut response = match sent {
            // The upload may have been the first to notice. A response would be cut at its
            // first byte: hyper closes an HTTP/1.1 connection then before it has sent the
            // head, so that the client learns nothing.
            Ok(_) if grant.has_ended() => return Err(UpstreamError::PermissionEnded),
            Ok(Ok(response)) => response,
            Err(NoResponse::PermissionEnded) => return Err(UpstreamError::PermissionEnded),
            Ok(Err((error, upstream))) => {
                return Err(UpstreamError::new(error, upstream, self.body_bytes));
            }
            Err(NoResponse::Stalled) if upload.is_some_and(|upload| upload.is_waiting_for_client()) => {
                return Err(UpstreamError::ClientTimeout);
            }
            Err(NoResponse::Stalled) => return Err(UpstreamError::Timeout(cluster.name())),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return self.open_tunnel(cluster, grant, from_client, upgrade, response);
        }
        let fields = FieldSet::of(response.headers());
        if fields.has(FieldSet::TRANSFER_ENCODING) {
            match Framing::of(response.headers()) {
                Framing::Plain => {}
                Framing::Decoded => _ = response.headers_mut().remove(CONTENT_LENGTH),
                Framing::Length(length) => response = response.map(|body| body.with_length(length)),
                Framing::Unsupported => return Err(UpstreamError::UnsupportedTransferCoding(cluster.name())),
            }
        }
        hop_by_hop::clean_response(response.headers_mut(), fields);
        *response.version_mut() = Version::HTTP_11;
        let body = response.body_mut();
        body.set_idle_timeout(self.stream_timeout, upload, is_http2);
        body.set_grant(grant);
        Ok(response)
    }

    /// Completes a WebSocket handshake that the app has answered with 101.
    fn open_tunnel(
        &self,
        cluster: &Cluster,
        grant: &Grant,
        from_client: Option<OnUpgrade>,
        upgrade: Upgrade,
        mut response: Response<ResponseBody>,
    ) -> Result<Response<ResponseBody>, UpstreamError> {
        let is_websocket = is_websocket_handshake(response.headers());
        let Some(from_client) = from_client.filter(|_| is_websocket) else {
            return Err(UpstreamError::UnrequestedUpgrade(cluster.name()));
        };
        if !upgrade.is_accepted_by(response.headers()) {
            return Err(UpstreamError::WebSocketAcceptMismatch(cluster.name()));
        }
        let to_app = hyper::upgrade::on(&mut response);
        let options = TunnelOptions {
            grant: grant.clone(),
            stop: self.stop.clone(),
            idle_timeout: self.stream_timeout,
            _extended_connect: upgrade.into_extended_connect(),
        };
        self.tunnels.spawn(websocket::tunnel(from_client, to_app, options));
        hop_by_hop::remove_hop_by_hop(response.headers_mut());
        websocket_handshake::insert_upgrade(response.headers_mut());
        Ok(response.map(|_| ResponseBody::empty()))
    }
}
