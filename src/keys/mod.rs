//! Secrets, and what is derived from them: sealing, opening, rotation.
//!
//! A [`Secret`] is never used as a key itself. HKDF-SHA256 (RFC 5869) derives
//! one key for each purpose, so that a state cookie can never be read as a
//! session and the assertion's key says nothing about either.
//!
//! Sealing is AES-256-GCM-SIV (RFC 8452): anybody may make us seal a state
//! cookie as often as they like, and this mode keeps its promises even if a
//! random nonce should repeat.

mod crypto;
mod fingerprint;
mod keyring;
mod secret;
mod secret_string;

pub(crate) use crypto::{equal, random, sha256};
pub(crate) use fingerprint::{Fingerprint, Fingerprints};
pub(crate) use keyring::{Keyring, Purpose};
pub use secret::{MIN_SECRET_BYTES, Secret, SecretError};
pub use secret_string::SecretString;
