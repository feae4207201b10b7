//! The reverse proxy: the gate around an upstream.
//!
//! It takes the steps of [`Gate::handle_with_grant`], and [`Upstream::send`] takes the grant.
//! The steps are in one future: each future around a request copies it, and the response.

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::causes::Causes;
use crate::client::{PeerRef, RequestContext};
use crate::gate::{Admission, ConnectionFields, Gate, GateBody};
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

    /// Makes `readyz` answer 503 from now on. Requests in flight go on: what is open when the
    /// server stops has [`ServerSettings::drain_timeout`] to finish.
    ///
    /// [`ServerSettings::drain_timeout`]: crate::server::ServerSettings::drain_timeout
    pub fn drain(&self) {
        self.gate.inner.oauth2.drain();
    }

    /// Answers a request: the app's response, or the gate's own. The person who was
    /// answered is in the response's extensions while the audit log wants to know.
    // Not an async fn, which would copy its arguments once more. The future borrows nothing, so
    // that callers need not wrap it in one that owns the proxy.
    pub fn handle(
        &self,
        mut request: Request<Incoming>,
        context: RequestContext,
    ) -> impl Future<Output = Response<GateBody<ResponseBody>>> + Send + use<> {
        let Self { gate, upstream } = self.clone();
        let RequestContext { peer, peer_address, extended_connect } = context;
        async move {
            let admitted = gate
                .admit(
                    Some(PeerRef { peer: &peer, address: peer_address.as_ref() }),
                    &mut request,
                    ConnectionFields::Drop,
                )
                .await;
            let Admission { grant, client, renewal, fields } = match admitted {
                Ok(admission) => admission,
                Err(unadmitted) => return unadmitted.answer(&gate.inner.oauth2, request.into_body()).await,
            };
            let kept = KeptHead::of(&request, fields);
            let response = match upstream.send_with_fields(&grant, request, fields, extended_connect).await {
                Ok(response) => response,
                Err(UpstreamError::PermissionEnded) => {
                    gate.interrupted(&grant, &kept, &client.host, client.ip).map(ResponseBody::whole)
                }
                Err(error) => {
                    let request = kept.request(&client.host, grant.user().is_some());
                    let mut response = Self::failed(&error, request);
                    gate.expose(&grant, kept.origin(), &mut response);
                    response.map(ResponseBody::whole)
                }
            };
            let mut response = gate.complete(response, &grant, renewal.as_ref(), None);
            if let Some(user) = grant.user()
                && tracing::enabled!(target: "huggate::audit", tracing::Level::DEBUG)
            {
                response.extensions_mut().insert(user.clone());
            }
            response
        }
    }

    /// The answer in place of the app's, which does not come.
    fn failed(error: &UpstreamError, request: FailedRequest<'_>) -> Response<Bytes> {
        match error {
            UpstreamError::BodyTooLarge(_) => {}
            UpstreamError::ClientTimeout
            | UpstreamError::ClientDisconnected(_)
            | UpstreamError::PermissionEnded
            | UpstreamError::WebSocketUnsupported(_) => {
                tracing::debug!(error = %Causes(error), "no answer from the upstream");
            }
            _ => tracing::error!(error = %Causes(error), "no answer from the upstream"),
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
