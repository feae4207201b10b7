//! The reverse proxy: the gate around an upstream.
//!
//! It lives on the library's own public API: [`Gate::handle_with_grant`] decides, and
//! [`Upstream::send`] takes the grant.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::client::{Client, ExtendedConnect, RequestContext};
use crate::gate::{Gate, GateBody, Grant};
use crate::respond::{FailedRequest, KeptHead, UpstreamFailure, upstream_failed};
use crate::upstream::{ResponseBody, Upstream, UpstreamError};

/// The gate in front of an app; cheap to clone.
#[derive(Debug, Clone)]
pub struct Proxy {
    gate: Gate,
    upstream: Upstream,
}

impl Proxy {
    /// Puts `gate` in front of `upstream`.
    #[must_use]
    pub fn new(gate: Gate, upstream: Upstream) -> Self {
        Self { gate, upstream }
    }

    /// The gate.
    #[must_use]
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Where requests go that may enter.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Answers a request: the app's response, or the gate's own. The person who was
    /// answered is in the response's extensions while the audit log wants to know.
    pub async fn handle(
        &self,
        request: Request<Incoming>,
        context: RequestContext,
    ) -> Response<GateBody<ResponseBody>> {
        let RequestContext { peer, extended_connect } = context;
        let audited = tracing::enabled!(target: "huggate::audit", tracing::Level::DEBUG);
        let mut user = None;
        let forward = |request, grant: Grant, client| {
            user = grant.user().filter(|_| audited).cloned();
            self.forward(request, grant, client, extended_connect)
        };
        let mut response = match self.gate.handle_with_grant(Some(peer), request, forward).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if let Some(user) = user {
            response.extensions_mut().insert(user);
        }
        response
    }

    /// Sends a request that may enter to the app.
    async fn forward(
        &self,
        request: Request<Incoming>,
        grant: Grant,
        client: Client,
        extended_connect: Option<ExtendedConnect>,
    ) -> Result<Response<ResponseBody>, Infallible> {
        let kept = KeptHead::of(&request);
        Ok(match self.upstream.send(&grant, request, extended_connect).await {
            Ok(response) => response,
            Err(UpstreamError::PermissionEnded) => {
                self.gate.interrupted(&grant, &kept, &client.host).map(ResponseBody::whole)
            }
            Err(error) => {
                let request = kept.request(&client.host, grant.user().is_some());
                let mut response = Self::failed(&error, request);
                self.gate.expose(&grant, kept.origin(), &mut response);
                response.map(ResponseBody::whole)
            }
        })
    }

    /// The answer in place of the app's, which does not come.
    fn failed(error: &UpstreamError, request: FailedRequest<'_>) -> Response<Bytes> {
        match error {
            UpstreamError::BodyTooLarge(_) => {}
            UpstreamError::ClientTimeout
            | UpstreamError::ClientDisconnected(_)
            | UpstreamError::PermissionEnded
            | UpstreamError::WebSocketUnsupported(_) => {
                tracing::debug!(%error, "no answer from the upstream");
            }
            _ => tracing::error!(%error, "no answer from the upstream"),
        }
        let failure = match error {
            UpstreamError::BodyTooLarge(limit) => UpstreamFailure::TooLarge(*limit),
            UpstreamError::ClientTimeout | UpstreamError::ClientDisconnected(_) => {
                UpstreamFailure::IncompleteBody
            }
            UpstreamError::Timeout(_) => UpstreamFailure::Timeout,
            UpstreamError::Busy(_) => UpstreamFailure::Busy,
            UpstreamError::WebSocketUnsupported(_) | UpstreamError::PermissionEnded => {
                UpstreamFailure::Down { close: true }
            }
            UpstreamError::Connect(..) | UpstreamError::Broken(..) => UpstreamFailure::Down { close: false },
            UpstreamError::ResponseHeadTooLarge(_) => UpstreamFailure::HeaderTooLarge,
            UpstreamError::InvalidResponse(..)
            | UpstreamError::UnrequestedUpgrade(_)
            | UpstreamError::WebSocketAcceptMismatch(_)
            | UpstreamError::UnsupportedTransferCoding(_) => UpstreamFailure::InvalidResponse,
        };
        upstream_failed(failure, request)
    }
}
