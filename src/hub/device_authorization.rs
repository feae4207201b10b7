//! A pending device authorization (RFC 8628).

use super::grant::Grant;
use crate::clock::UnixTime;

/// A device that waits for the user's consent.
#[derive(Debug)]
pub(super) struct DeviceAuthorization {
    /// The client's id.
    pub(super) client: String,
    /// The requested scopes.
    pub(super) scopes: Vec<String>,
    /// The code it displays.
    pub(super) user_code: String,
    /// The user's decision.
    pub(super) decision: Decision,
    /// When the device polled last.
    pub(super) polled: Option<UnixTime>,
}

/// The user's decision about a device.
#[derive(Debug)]
pub(super) enum Decision {
    /// Not decided yet.
    Waiting,
    /// Approved.
    Allowed(Grant),
    /// Denied.
    Denied,
}
