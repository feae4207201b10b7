//! What the provider's part is set up with.

use super::issuer::Issuer;
use crate::keys::SecretString;

/// The provider, and who we are to it.
#[derive(Debug, Clone)]
pub struct ProviderSettings {
    /// `https://huggingface.co`, unless told otherwise.
    pub issuer: Issuer,
    /// The OAuth app's client id.
    pub client_id: String,
    /// The app's secret; `None` is a public client, with PKCE alone.
    pub client_secret: Option<SecretString>,
    /// Scopes, separated by spaces.
    pub scope: String,
    /// Ids of organisations the consent page must ask for.
    pub orgs: Vec<String>,
}
