//! The gate whose decisions are explained.

use huggate::Gate;
use huggate::config::Origin;

/// The gate of a configuration, and the origins of its routes.
pub(super) struct LoadedGate {
    pub(super) gate: Gate,
    pub(super) public_url: String,
    pub(super) routes_from: Vec<Origin>,
}
