//! Fingerprints of API clients' tokens.

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::crypto::sha256;
use super::keyring::Keyring;

/// Computes fingerprints of API clients' tokens, which are not stored themselves.
pub(crate) struct Fingerprints(hmac::Key);

/// Identifies a token without revealing it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprints {
    /// The HMAC key is derived from the first secret.
    pub(crate) fn new(keyring: &Keyring) -> Self {
        let key = Zeroizing::new(keyring.bearer_token_key());
        Self(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()))
    }

    /// HMAC-SHA256 (RFC 2104).
    pub(crate) fn of(&self, token: &str) -> Fingerprint {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&self.0, token.as_bytes()).as_ref());
        Fingerprint(bytes)
    }
}

impl Fingerprint {
    /// An identifier of the token that may leave the process (`sid`).
    pub(crate) fn sid(&self) -> String {
        let hash = sha256(&[b"sid".as_slice(), &self.0].concat());
        URL_SAFE_NO_PAD.encode(hash.get(..16).unwrap_or_default())
    }
}

impl fmt::Debug for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprints(..)")
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Secret;

    #[test]
    fn fingerprints_depend_on_token_and_secret() {
        let prints = |byte| {
            Fingerprints::new(&Keyring::new(&[Secret::parse(&format!("{byte:02x}").repeat(32)).unwrap()]))
        };
        let (one, two) = (prints(1), prints(2));
        assert_eq!(one.of("hf_a"), prints(1).of("hf_a"));
        assert_ne!(one.of("hf_a"), one.of("hf_b"));
        assert_ne!(one.of("hf_a"), two.of("hf_a"));
        assert_eq!(one.of("hf_a").sid().len(), 22);
        assert_ne!(one.of("hf_a").sid(), one.of("hf_b").sid());
        assert_eq!(format!("{one:?} {:?}", one.of("hf_a")), "Fingerprints(..) Fingerprint(..)");
    }
}
