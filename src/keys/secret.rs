//! The session secret: parsing, generation, key derivation.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::crypto::random;

/// Minimum length of a session secret, in bytes.
pub const MIN_SECRET_BYTES: usize = 32;
/// Secret key material. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a string is not a session secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Neither base64 nor hex.
    #[error("is neither base64 nor hex")]
    Encoding,
    /// Fewer than [`MIN_SECRET_BYTES`] bytes.
    #[error("has {0} bytes; at least {MIN_SECRET_BYTES} random bytes are required")]
    Short(usize),
}

impl Secret {
    /// Parses a secret from base64 (either alphabet, padded or not) or hex.
    ///
    /// ```
    /// use huggate::keys::Secret;
    ///
    /// assert!(Secret::parse(&"5e".repeat(32)).is_ok());
    /// assert!(Secret::parse("too short").is_err());
    /// ```
    ///
    /// # Errors
    /// - [`SecretError::Encoding`]: neither base64 nor hex.
    /// - [`SecretError::Short`]: fewer than 32 bytes.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let bytes = decode_hex(text).or_else(|| decode_base64(text)).ok_or(SecretError::Encoding)?;
        if bytes.len() < MIN_SECRET_BYTES {
            return Err(SecretError::Short(bytes.len()));
        }
        Ok(Self(Zeroizing::new(bytes)))
    }

    /// Generates a secret of 32 random bytes, in the format of [`Secret::parse`].
    #[must_use]
    pub fn generate() -> String {
        URL_SAFE_NO_PAD.encode(random::<MIN_SECRET_BYTES>())
    }

    /// HKDF-SHA256 with `purpose` as the info.
    pub(super) fn derive<const N: usize>(&self, purpose: &str) -> [u8; N] {
        self.derive_with(purpose, &[])
    }

    /// The same for a key that also depends on `share`, a key that somebody else holds.
    /// No purpose is the start of another one, so the two cannot be confused.
    pub(super) fn derive_with<const N: usize>(&self, purpose: &str, share: &[u8]) -> [u8; N] {
        let mut key = [0; N];
        Salt::new(HKDF_SHA256, b"huggate")
            .extract(&self.0)
            .expand(&[purpose.as_bytes(), share], Length(N))
            .and_then(|okm| okm.fill(&mut key))
            .expect("every length asked for here is far below HKDF's limit of 8160 bytes");
        key
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The output length, for HKDF.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Decodes hex of either case.
fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_parsed_from_hex_and_both_base64_alphabets() {
        let hex = Secret::parse(&"fb".repeat(32)).unwrap();
        let bytes = vec![0xfb_u8; 32];
        for text in [
            URL_SAFE_NO_PAD.encode(&bytes),
            STANDARD_NO_PAD.encode(&bytes),
            format!("{}=\n", STANDARD_NO_PAD.encode(&bytes)),
        ] {
            assert_eq!(Secret::parse(&text).unwrap(), hex, "{text}");
        }
        assert!(Secret::parse(&Secret::generate()).is_ok());
    }

    #[test]
    fn short_and_malformed_secrets_are_rejected() {
        assert_eq!(Secret::parse(""), Err(SecretError::Short(0)));
        assert_eq!(Secret::parse(&"ab".repeat(31)), Err(SecretError::Short(31)));
        assert_eq!(Secret::parse("not base64 at all, is it?"), Err(SecretError::Encoding));
    }

    #[test]
    fn debug_output_hides_the_secret() {
        assert_eq!(format!("{:?}", Secret::parse(&"07".repeat(32)).unwrap()), "Secret(..)");
    }
}
