//! The tokens for requests to the provider about a person.

use serde::{Deserialize, Serialize};

use crate::clock::UnixTime;
use crate::keys::SecretString;

/// The result of a token request (RFC 6749, section 5.1).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access: SecretString,
    /// Optional; the provider replaces it with each use.
    pub(crate) refresh: Option<SecretString>,
    /// When the access token expires, if the provider said so.
    pub(crate) expires: Option<UnixTime>,
}
