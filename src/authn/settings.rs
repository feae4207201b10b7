//! Which tokens of API clients are accepted.

/// Which tokens of API clients are accepted, if any are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BearerSettings {
    /// Ids of further OAuth apps whose tokens (`hf_oauth_…`) are accepted. Those of the
    /// gate's own app always are, and so are user access tokens (`hf_…`).
    pub clients: Vec<String>,
    /// Whether tokens of apps are accepted (`hf_app_…`, and those with which an app
    /// acts for a person). Rules match an app by its id alone: its name may also be
    /// an account's.
    pub app_tokens: bool,
}
