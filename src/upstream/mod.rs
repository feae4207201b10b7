//! Where allowed requests go: pick a target, send, stream back.

mod address;

use std::path::PathBuf;
use std::time::Duration;

pub use address::{UpstreamUrl, UpstreamUrlError};

/// How requests are sent on.
#[derive(Debug, Clone)]
#[expect(clippy::exhaustive_structs, reason = "made by the configuration or in code, with every field said")]
pub struct UpstreamSettings {
    /// Where requests go that no route sends elsewhere.
    pub default: UpstreamUrl,
    /// Where each route sends its requests, in the order of the gate's routes.
    pub routes: Vec<Option<UpstreamUrl>>,
    /// Until a connection stands, TLS included.
    pub connect_timeout: Duration,
    /// Until the response's headers; a stream that moves has no limit.
    pub response_timeout: Duration,
    /// A PEM file with the authorities to trust for https, instead of the
    /// system's.
    pub ca_file: Option<PathBuf>,
    /// The longest request body; `None` is no limit.
    pub body_bytes: Option<u64>,
}
