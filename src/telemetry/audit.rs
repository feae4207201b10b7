//! Audit lines: one for each decision.

use http::uri::PathAndQuery;
use http::{Method, Response, StatusCode};

use crate::client::Client;
use crate::forward_auth::OriginalRequest;
use crate::gate::Refusal;
use crate::identity::User;

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
        tracing::enabled!(target: "huggate::audit", tracing::Level::INFO).then(|| Self {
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
        })
    }

    fn path(&self) -> &str {
        self.target.as_ref().map_or("", PathAndQuery::path)
    }

    /// Writes the audit line: refusals at level info, everything else at debug.
    pub fn record<B>(&self, response: &Response<B>) {
        let status = response.status().as_u16();
        let client = response.extensions().get::<Client>().and_then(|client| client.ip);
        // With forward auth, the request that is asked about, not the subrequest.
        let original = response.extensions().get::<OriginalRequest>();
        let (method, path) =
            original.map_or((&self.method, self.path()), |asked| (asked.method(), asked.path()));
        match response.extensions().get::<Refusal>() {
            Some(Refusal::Forbidden(forbidden)) => {
                tracing::info!(
                    target: "huggate::audit", event = "refused", code = "access_denied", user = forbidden.username(),
                    auth_method = forbidden.auth_method().as_str(),
                    %method, path, status, client = ?client, "refused",
                );
            }
            Some(refusal) if response.status() != StatusCode::FOUND => {
                tracing::info!(
                    target: "huggate::audit", event = "refused", code = refusal.code(),
                    %method, path, status, client = ?client, "refused",
                );
            }
            Some(refusal) => {
                tracing::debug!(
                    target: "huggate::audit", event = "redirected", code = refusal.code(),
                    %method, path, "sent to sign in",
                );
            }
            None => {
                let user = response.extensions().get::<User>();
                tracing::debug!(
                    target: "huggate::audit", event = "answered", user = user.map(User::username),
                    auth_method = user.map(|user| user.auth_method().as_str()),
                    %method, path, status, "answered",
                );
            }
        }
    }
}
