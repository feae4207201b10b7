//! The gate that is asked.

use huggate::Gate;
use huggate::config::Origin;

/// The gate of a configuration, and where its routes are from.
pub(super) struct LoadedGate {
    pub(super) gate: Gate,
    pub(super) public_url: String,
    pub(super) routes_from: Vec<Origin>,
}
