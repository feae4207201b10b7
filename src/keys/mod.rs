//! Secrets and derived keys: sealing, opening, rotation.
//!
//! A [`Secret`] is never used as a key directly. HKDF-SHA256 (RFC 5869) derives a key for each
//! purpose, so that a state cookie cannot be used as a session, and the assertion's key reveals
//! nothing about the others.
//!
//! Sealing uses AES-256-GCM-SIV (RFC 8452): clients can make us seal any number of state
//! cookies, and this mode stays secure if a random nonce repeats.

mod compact;
mod crypto;
mod fingerprint;
mod keyring;
mod secret;
mod secret_string;

pub(crate) use compact::{Packed, deflate, inflate};
pub(crate) use crypto::{equal, random, sha256};
pub(crate) use fingerprint::{Fingerprint, Fingerprints};
pub(crate) use keyring::{Keyring, Purpose, StoreSeal};
pub use secret::{MIN_SECRET_BYTES, Secret, SecretError};
pub use secret_string::SecretString;
