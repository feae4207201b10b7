//! Settings of the provider.

use std::time::Duration;

use super::issuer::Issuer;
use crate::keys::SecretString;
use crate::setters::setters;

/// How far the provider's clock may differ from ours if nothing else is configured.
pub const DEFAULT_CLOCK_SKEW: Duration = Duration::from_secs(60);
/// The largest difference that can be configured.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// The provider, and our registration there.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProviderSettings {
    /// `https://huggingface.co` by default.
    pub issuer: Issuer,
    /// The OAuth app's client id.
    pub client_id: String,
    /// The client secret; `None` for a public client, which uses PKCE alone.
    pub client_secret: Option<SecretString>,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// Ids of organisations that the consent page asks for.
    pub orgs: Vec<String>,
    /// How far the provider's clock may differ from ours; at most [`MAX_CLOCK_SKEW`].
    pub clock_skew: Duration,
}

impl ProviderSettings {
    /// The settings of a public client with the scope `openid profile`.
    #[must_use]
    pub fn new(issuer: Issuer, client_id: impl Into<String>) -> Self {
        Self {
            issuer,
            client_id: client_id.into(),
            client_secret: None,
            scope: "openid profile".to_owned(),
            orgs: Vec::new(),
            clock_skew: DEFAULT_CLOCK_SKEW,
        }
    }

    setters!(
        clock_skew: Duration;
        client_secret: into Option<SecretString>,
        scope: into String,
        orgs: into Vec<String>,
    );
}
