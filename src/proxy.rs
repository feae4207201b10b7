//! The reverse proxy: the gate around an upstream.
//!
//! It takes the steps of [`Gate::handle_with_grant`], and [`Upstream::send`] takes the grant.
//! The steps are in one future: each future around a request copies it, and the response.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, ORIGIN, USER_AGENT};
use http::uri::PathAndQuery;
use http::{Request, Response};
use hyper::body::Incoming;

use crate::client::{Client, FieldSet, RequestContext, is_openai_agent};
use crate::gate::{Admission, ConnectionFields, Gate, GateBody, Grant};
use crate::respond::{FailedRequest, UpstreamFailure, upstream_failed};
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
    // Not an async fn, which would copy its arguments once more. The future borrows nothing, so
    // that callers need not wrap it in one that owns the proxy.
    pub fn handle(
        &self,
        mut request: Request<Incoming>,
        context: RequestContext,
    ) -> impl Future<Output = Response<GateBody<ResponseBody>>> + Send + use<> {
        let Self { gate, upstream } = self.clone();
        let RequestContext { peer, extended_connect } = context;
        async move {
            let admitted = gate.admit(Some(&peer), &mut request, ConnectionFields::Drop).await;
            let Admission { grant, client, renewal, fields } = match admitted {
                Ok(admission) => admission,
                Err(answer) => return answer.map(GateBody::own),
            };
            let kept = KeptHead::of(&request, fields);
            let response = match upstream.send(&grant, request, extended_connect).await {
                Ok(response) => response,
                Err(error) => {
                    let mut response = kept.failed(&error, &client, &grant);
                    gate.expose(&grant, kept.origin.as_ref(), &mut response);
                    response.map(ResponseBody::whole)
                }
            };
            let mut response = gate.complete(response, &grant, renewal);
            if let Some(user) = grant.user()
                && tracing::enabled!(target: "huggate::audit", tracing::Level::DEBUG)
            {
                response.extensions_mut().insert(user.clone());
            }
            response
        }
    }
}

/// The parts of a request that are kept to explain that the app did not answer it. Almost all
/// requests are answered, so nothing is copied that is not shared.
struct KeptHead {
    target: Option<PathAndQuery>,
    accept: Option<HeaderValue>,
    content_type: Option<HeaderValue>,
    origin: Option<HeaderValue>,
    speaks_openai: bool,
}

impl KeptHead {
    /// `fields` are those that the request came with.
    fn of(request: &Request<Incoming>, fields: FieldSet) -> Self {
        let headers = request.headers();
        let copy_of = |set, name| if fields.has(set) { headers.get(name).cloned() } else { None };
        Self {
            target: request.uri().path_and_query().cloned(),
            accept: copy_of(FieldSet::ACCEPT, ACCEPT),
            content_type: copy_of(FieldSet::CONTENT_TYPE, CONTENT_TYPE),
            origin: copy_of(FieldSet::ORIGIN, ORIGIN),
            speaks_openai: fields.has(FieldSet::STAINLESS)
                || (fields.has(FieldSet::USER_AGENT)
                    && headers.get_all(USER_AGENT).iter().any(is_openai_agent)),
        }
    }

    fn failed(&self, error: &UpstreamError, client: &Client, grant: &Grant) -> Response<Bytes> {
        match error {
            UpstreamError::BodyTooLarge(_) => {}
            UpstreamError::ClientTimeout
            | UpstreamError::ClientDisconnected(_)
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
            UpstreamError::WebSocketUnsupported(_) => UpstreamFailure::Down { close: true },
            UpstreamError::Connect(..) | UpstreamError::Broken(..) => UpstreamFailure::Down { close: false },
            UpstreamError::ResponseHeadTooLarge(_) => UpstreamFailure::HeaderTooLarge,
            UpstreamError::InvalidResponse(..)
            | UpstreamError::UnrequestedUpgrade(_)
            | UpstreamError::WebSocketAcceptMismatch(_)
            | UpstreamError::UnsupportedTransferCoding(_) => UpstreamFailure::InvalidResponse,
        };
        upstream_failed(
            failure,
            FailedRequest {
                host: &client.host,
                target: self.target.as_ref().map_or("/", PathAndQuery::as_str),
                accept: self.accept.as_ref(),
                content_type: self.content_type.as_ref(),
                speaks_openai: self.speaks_openai,
                signed_in: grant.user().is_some(),
            },
        )
    }
}
