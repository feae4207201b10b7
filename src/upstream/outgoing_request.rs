//! The request as it is sent to the app.

use std::sync::Arc;

use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use http::{Request, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::error::UpstreamError;
use super::hop_by_hop;
use super::request_body::RequestBody;
use super::stall_detector::StallDetector;
use super::websocket_handshake::{Upgrade, insert_upgrade};
use crate::client::{ExtendedConnect, FieldSet};
use crate::gate::Grant;

/// The request as it is sent to the app, in the form of HTTP/1.1.
pub(super) struct OutgoingRequest {
    /// Boxed, because each of the futures that send it would copy it.
    pub(super) request: Box<Request<RequestBody>>,
    pub(super) upgrade: Upgrade,
    /// The client's stream after the upgrade, if the request asks for one.
    pub(super) from_client: Option<OnUpgrade>,
    pub(super) is_grpc: bool,
    /// It has `Expect`.
    pub(super) has_expectation: bool,
    /// The client speaks HTTP/2.
    pub(super) is_http2: bool,
    /// The detector of the request body, if there is one.
    pub(super) upload: Option<Arc<StallDetector>>,
}

impl OutgoingRequest {
    /// `authority` is the `Host` of a request that came without one, `body_bytes` the
    /// longest body, and `grant` the permission under which a body is on its way. `fields`
    /// are those of the request.
    pub(super) fn prepare(
        request: Request<Incoming>,
        fields: FieldSet,
        extended_connect: Option<ExtendedConnect>,
        authority: &str,
        body_bytes: Option<u64>,
        grant: &Grant,
    ) -> Result<Self, UpstreamError> {
        if let Some(limit) = body_bytes.filter(|limit| request.body().size_hint().lower() > *limit) {
            return Err(UpstreamError::BodyTooLarge(limit));
        }
        let (mut parts, body) = request.into_parts();
        let is_http2 = parts.version == Version::HTTP_2;
        let upgrade = Upgrade::of(&parts, fields, extended_connect);
        let is_grpc = fields.has(FieldSet::CONTENT_TYPE) && is_grpc(&parts.headers);
        hop_by_hop::clean_request(&mut parts.headers, fields);
        if upgrade.is_requested() {
            insert_upgrade(&mut parts.headers);
        }
        parts.version = Version::HTTP_11;
        // HTTP/1.1 requires `Host`; HTTP/1.0 does not, and HTTP/2 has `:authority`.
        if !fields.has(FieldSet::HOST) {
            let authority = parts.uri.authority().map_or(authority, |authority| authority.as_str());
            if let Ok(host) = HeaderValue::from_str(authority) {
                parts.headers.insert(HOST, host);
            }
        }
        // Origin form (RFC 9112, section 3.2.1), with the path byte for byte.
        if parts.uri.authority().is_some()
            && let Some(target) = parts.uri.path_and_query()
        {
            parts.uri = Uri::from(target.clone());
        }
        let (body, upload) = RequestBody::new(body, body_bytes, grant);
        let mut request = Box::new(Request::from_parts(parts, body));
        let from_client = upgrade.is_requested().then(|| hyper::upgrade::on(&mut *request));
        let has_expectation = fields.has(FieldSet::EXPECT);
        Ok(Self { request, upgrade, from_client, is_grpc, has_expectation, is_http2, upload })
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}
