//! The tokens by which the provider is asked about a person.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::keys::SecretString;

/// What a token request gave (RFC 6749, section 5.1).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access: SecretString,
    /// Whether the provider gives one is not certain; it changes with each use.
    pub(crate) refresh: Option<SecretString>,
    /// When the access token ends, if the provider said so.
    pub(crate) expires: Option<UnixTime>,
}
