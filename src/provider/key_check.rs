//! Whether the provider publishes keys that ID tokens can be verified with.
//!
//! Asked apart from sign-ins, and without their cache: a check must not use up what they may ask.

use http::HeaderMap;
use jsonwebtoken::DecodingKey;

use super::discovery::{DiscoveryError, Metadata};
use super::http_client::{FetchError, HttpClient};
use super::jwks::KeySet;

/// Why no ID token could be verified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyCheckError {
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("the provider's keys (jwks_uri) could not be fetched")]
    Fetch(#[from] FetchError),
    #[error("the provider's keys (jwks_uri): {0} lists no key")]
    Empty(String),
    #[error("the provider's keys (jwks_uri): {0} lists no key that can verify the signature of an ID token")]
    Unusable(String),
}

impl KeyCheckError {
    /// Whether a later attempt may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Discovery(error) => error.is_transient(),
            Self::Fetch(error) => error.is_transient(),
            Self::Empty(_) | Self::Unusable(_) => false,
        }
    }

    /// What the operator can do.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Discovery(error) => error.advice(),
            Self::Fetch(error) => error.advice(),
            Self::Empty(_) | Self::Unusable(_) => {
                "nobody can sign in until the provider publishes an RSA, EC or Ed25519 key for signatures"
            }
        }
    }
}

/// Fetches the keys; returns how many can be used.
pub(super) async fn count_keys(http: &HttpClient, metadata: &Metadata) -> Result<usize, KeyCheckError> {
    let response = http.get(&metadata.jwks_uri, HeaderMap::new()).await?.ok()?;
    let set: KeySet = response.json()?;
    if set.keys.is_empty() {
        return Err(KeyCheckError::Empty(response.endpoint));
    }
    let usable = set.usable().iter().filter(|key| DecodingKey::from_jwk(key).is_ok()).count();
    if usable == 0 { Err(KeyCheckError::Unusable(response.endpoint)) } else { Ok(usable) }
}
