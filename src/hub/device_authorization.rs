//! A device that waits for somebody's consent (RFC 8628).

use super::grant::Grant;
use crate::clock::UnixTime;

/// A device that waits for somebody's consent.
#[derive(Debug)]
pub(super) struct DeviceAuthorization {
    /// The client's id.
    pub(super) client: String,
    /// The scopes it asked for.
    pub(super) scopes: Vec<String>,
    /// What it shows.
    pub(super) user_code: String,
    /// What the person said.
    pub(super) decision: Decision,
    /// When it asked last.
    pub(super) polled: Option<UnixTime>,
}

/// What a person said to a device.
#[derive(Debug)]
pub(super) enum Decision {
    /// Nothing yet.
    Waiting,
    /// Yes.
    Allowed(Grant),
    /// No.
    Denied,
}
