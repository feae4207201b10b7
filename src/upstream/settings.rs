//! How requests are sent on.

use std::time::Duration;

use super::address::UpstreamUrl;
use super::health_check::HealthPath;
use super::tls::UpstreamTls;

/// How requests are sent on.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "made by the configuration or in code, with every field said")]
pub struct UpstreamSettings {
    /// Where requests go that no route sends elsewhere.
    pub default: Target,
    /// Where each route sends its requests, in the order of the gate's routes.
    pub routes: Vec<Option<Target>>,
    /// Until a connection stands, TLS included; and before that, until there is room
    /// for one.
    pub connect_timeout: Duration,
    /// Until the response's headers; an upload that moves has no limit.
    pub response_timeout: Duration,
    /// How long a response, an upload or a tunnel may stand still.
    pub stream_timeout: Duration,
    /// For https.
    pub tls: UpstreamTls,
    /// The longest request body; `None` is no limit.
    pub body_bytes: Option<u64>,
    /// How many connections to one address.
    pub connections: usize,
}

/// An app: where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "made by the configuration or in code, with every field said")]
pub struct Target {
    /// Its addresses, one at least; several share its requests. Only the first 64
    /// count.
    pub urls: Vec<UpstreamUrl>,
    /// Where each is asked how it does.
    pub health: Option<HealthPath>,
}

impl From<UpstreamUrl> for Target {
    fn from(url: UpstreamUrl) -> Self {
        Self { urls: vec![url], health: None }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, url) in self.urls.iter().enumerate() {
            write!(f, "{}{url}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
