//! Adapts a gate to a provider in this process.

use std::sync::Arc;

use http::Request;
use http::header::{HOST, HeaderValue};

use super::{Gate, GateSettings};

impl Gate {
    /// Names the public URL's host in a request that a test made and that names none. A server
    /// never passes such a request on (RFC 9112, section 3.2).
    pub(super) fn name_host<B>(&self, request: &mut Request<B>) {
        let oauth2 = &self.inner.oauth2;
        if oauth2.provider.issuer().in_process().is_none()
            || request.uri().authority().is_some()
            || request.headers().contains_key(HOST)
        {
            return;
        }
        if let Ok(host) = HeaderValue::from_str(oauth2.urls.public_url.authority()) {
            request.headers_mut().insert(HOST, host);
        }
    }

    /// Settings of a gate that is to replace this one. In a test, people and tokens are at the
    /// provider of this one, and settings of production must not lead to the network.
    pub(super) fn at_the_same_provider(&self, mut settings: GateSettings) -> GateSettings {
        if let Some(before) = self.inner.oauth2.provider.issuer().in_process() {
            let issuer = settings.provider.issuer;
            let next = match issuer.in_process() {
                Some(next) => Arc::clone(next).after(before),
                None => Arc::clone(before),
            };
            settings.provider.issuer = issuer.answered_by(next);
        }
        settings
    }
}
