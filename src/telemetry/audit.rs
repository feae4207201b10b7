//! Audit lines for requests that are answered; the gate has those for refusals.

use http::uri::PathAndQuery;
use http::{Method, Response};

use crate::client::Client;
use crate::forward_auth::OriginalRequest;
use crate::gate::Refusal;
use crate::identity::User;
use crate::masked::masked;

/// The parts of a request that an audit line records. The query is left out, because it
/// may hold secrets.
#[derive(Debug)]
pub struct AuditEntry {
    method: Method,
    /// Shared with the request.
    target: Option<PathAndQuery>,
}

impl AuditEntry {
    /// Records what the audit line needs; `None` while audit lines are disabled.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Option<Self> {
        tracing::enabled!(target: "huggate::audit", tracing::Level::DEBUG).then(|| Self {
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
        })
    }

    fn path(&self) -> &str {
        self.target.as_ref().map_or("", PathAndQuery::path)
    }

    /// Writes the audit line, at level debug. The gate logs its refusals itself.
    pub fn record<B>(&self, response: &Response<B>) {
        if response.extensions().get::<Refusal>().is_some() {
            return;
        }
        let status = response.status().as_u16();
        let client = response.extensions().get::<Client>().and_then(|client| client.ip);
        // With forward auth, the request that is asked about, not the subrequest.
        let original = response.extensions().get::<OriginalRequest>();
        let (method, path) =
            original.map_or((&self.method, self.path()), |asked| (asked.method(), asked.path()));
        let user = response.extensions().get::<User>();
        tracing::debug!(
            target: "huggate::audit", event = "answered", username = user.map(|user| masked(user.username())).as_deref(),
            auth_method = user.map(|user| user.auth_method().as_str()),
            method = &*masked(method.as_str()), path = &*masked(path), status, client = client.map(tracing::field::display), "answered",
        );
    }
}
