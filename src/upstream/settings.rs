//! Settings of the upstream.

use std::time::Duration;

use super::address::UpstreamUrl;
use super::health_path::HealthPath;
use super::tls::UpstreamTls;
use crate::setters::setters;

/// The longest head of a response, and the longest trailers, in bytes.
pub(super) const MAX_RESPONSE_HEAD: u32 = 256 * 1024;
/// The most lines in them over HTTP/1.1. hyper's own limit is 100; with any other it
/// fills an array of this many entries for each response, so the limit is not higher.
pub(super) const MAX_RESPONSE_LINES: usize = 512;

/// Where and how requests are sent to the app.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UpstreamSettings {
    /// The app for requests whose route names none.
    pub default: Target,
    /// The app of each route, in the order of the gate's routes; `None` is the default.
    pub routes: Vec<Option<Target>>,
    /// For opening a connection, TLS included, and before that for waiting until the
    /// connection limit allows it.
    pub connect_timeout: Duration,
    /// Until the response headers. An upload may take any time, as long as it does not
    /// stall for this long.
    pub response_timeout: Duration,
    /// How long a response or a WebSocket may be idle.
    pub stream_timeout: Duration,
    /// How long a connection is kept without a request.
    pub idle_timeout: Duration,
    /// TLS to https upstreams.
    pub tls: UpstreamTls,
    /// The longest request body, in bytes; `None` is no limit.
    pub body_bytes: Option<u64>,
    /// The most connections to one address.
    pub connections: usize,
}

impl UpstreamSettings {
    /// The defaults of the annotated `config.toml` for this app.
    #[must_use]
    pub fn new(default: impl Into<Target>) -> Self {
        Self {
            default: default.into(),
            routes: Vec::new(),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(60),
            stream_timeout: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(60),
            tls: UpstreamTls::default(),
            body_bytes: None,
            connections: 10_000,
        }
    }

    setters!(
        connect_timeout: Duration,
        response_timeout: Duration,
        stream_timeout: Duration,
        idle_timeout: Duration,
        tls: UpstreamTls,
        connections: usize;
        default: into Target,
        routes: into Vec<Option<Target>>,
        body_bytes: into Option<u64>,
    );
}

/// An app: its addresses, and their health check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The addresses, at least one. Requests are balanced over the first 64.
    pub urls: Vec<UpstreamUrl>,
    /// The path that health checks request at each address.
    pub health: Option<HealthPath>,
}

impl Target {
    /// An app at these addresses, without health checks.
    #[must_use]
    pub fn new(urls: impl Into<Vec<UpstreamUrl>>) -> Self {
        Self { urls: urls.into(), health: None }
    }

    setters!(; health: into Option<HealthPath>);
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
