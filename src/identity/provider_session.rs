//! What is kept of a sign-in for logouts: OpenID Connect RP-Initiated Logout 1.0 and Back-Channel
//! Logout 1.0.

use crate::keys::SecretString;

/// The maximum length of an ID token that a session keeps: it goes into a URL.
const MAX_ID_TOKEN: usize = 4 * 1024;
/// The maximum length of a provider's session id.
const MAX_SID: usize = 255;

/// The session at the provider that a sign-in was made in.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProviderSession {
    /// The ID token, if the provider has an end-session endpoint: its `id_token_hint`.
    pub(crate) id_token: Option<SecretString>,
    /// The provider's id of it: the ID token's `sid`.
    pub(crate) sid: Option<String>,
}

impl ProviderSession {
    /// Values above the limits are left out.
    pub(crate) fn new(id_token: Option<SecretString>, sid: Option<String>) -> Self {
        Self {
            id_token: id_token.filter(|token| token.expose().len() <= MAX_ID_TOKEN),
            sid: sid.filter(|sid| !sid.is_empty() && sid.len() <= MAX_SID),
        }
    }
}
