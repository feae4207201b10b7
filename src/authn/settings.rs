//! Which tokens of API clients are accepted.

use crate::setters::setters;

/// Which tokens of API clients are accepted, if any are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BearerSettings {
    /// Ids of other OAuth apps whose tokens (`hf_oauth_…`) are accepted. Tokens of the
    /// gate's own app and user access tokens (`hf_…`) are always accepted.
    pub clients: Vec<String>,
    /// Whether tokens of apps are accepted (`hf_app_…`, and tokens with which an app acts
    /// for a person). Rules match an app only by its id: its name may also be the name of
    /// an account.
    pub app_tokens: bool,
}

impl BearerSettings {
    setters!(app_tokens: bool; clients: into Vec<String>);
}
