//! What is written down: logs, and a line for each decision.

use std::io::IsTerminal;

use http::{Method, Response, StatusCode};
use tracing_subscriber::EnvFilter;

use crate::client::Client;
use crate::forward_auth::OriginalRequest;
use crate::gate::Refusal;
use crate::identity::User;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "both ways there are")]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts writing to standard error. `filter` is a level, or `target=level` pairs;
/// `info` unless given.
///
/// # Errors
/// A sentence, if the filter cannot be read or something else writes logs already.
pub fn start(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    let filter = filter.unwrap_or("info");
    // It warns of what any client can send.
    let quiet = if filter.contains("h2") { filter.to_owned() } else { format!("{filter},h2=error") };
    let filter = EnvFilter::try_new(quiet).map_err(|error| format!("HUGGATE_LOG: {filter:?}: {error}"))?;
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match format {
        LogFormat::Pretty => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).with_target(true).try_init(),
    };
    started.map_err(|error| format!("logs cannot be started: {error}"))
}

/// What of a request is written down: no query, since that may hold secrets.
#[derive(Debug)]
pub struct Asked {
    method: Method,
    path: String,
}

impl Asked {
    /// Notes what a decision's line needs; nothing while such lines are off.
    #[must_use]
    pub fn of<B>(request: &http::Request<B>) -> Option<Self> {
        tracing::enabled!(target: "huggate::audit", tracing::Level::INFO)
            .then(|| Self { method: request.method().clone(), path: request.uri().path().to_owned() })
    }

    /// Writes the line: a refusal as information, everything else for debugging.
    pub fn decided<B>(&self, response: &Response<B>) {
        let status = response.status().as_u16();
        let client = response.extensions().get::<Client>().and_then(|client| client.ip);
        // Of what another proxy asked about, rather than of its asking.
        let original = response.extensions().get::<OriginalRequest>();
        let (method, path) =
            original.map_or((&self.method, &*self.path), |asked| (asked.method(), asked.path()));
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
