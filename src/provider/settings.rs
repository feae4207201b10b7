//! Settings of the provider.

use super::issuer::Issuer;
use crate::keys::SecretString;

/// The provider, and our registration there.
#[derive(Debug, Clone)]
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
}
