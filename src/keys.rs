//! Secrets, and what is derived from them: sealing, opening, rotation.
//!
//! A [`Secret`] is never used as a key itself. HKDF-SHA256 (RFC 5869) derives
//! one key for each purpose, so that a state cookie can never be read as a
//! session and the assertion's key says nothing about either.
//!
//! Sealing is AES-256-GCM-SIV (RFC 8452): anybody may make us seal a state
//! cookie as often as they like, and this mode keeps its promises even if a
//! random nonce should repeat.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The shortest session secret that is accepted, in bytes.
pub const MIN_SECRET_BYTES: usize = 32;
/// `version ‖ key id ‖ nonce` of a sealed text, in bytes.
const HEAD: usize = 1 + 4 + NONCE;
/// The format of [`Keyring::seal`]; a text of another version does not open.
const VERSION: u8 = 1;
/// Bytes of the nonce (RFC 8452, section 4).
pub(crate) const NONCE: usize = 12;

/// Key material from the configuration. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// Why a text is no session secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Neither base64 nor hex.
    #[error("is neither base64 nor hex")]
    Encoding,
    /// Fewer than [`MIN_SECRET_BYTES`] bytes.
    #[error("holds {0} bytes, and at least {MIN_SECRET_BYTES} random ones are needed")]
    Short(usize),
}

impl Secret {
    /// Reads a secret from base64 (either alphabet, padded or not) or hex.
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

    /// A fresh secret of 32 random bytes, in the form [`Secret::parse`] reads.
    #[must_use]
    pub fn generate() -> String {
        URL_SAFE_NO_PAD.encode(random::<MIN_SECRET_BYTES>())
    }

    /// HKDF-SHA256 with `purpose` as the info.
    fn derive<const N: usize>(&self, purpose: &str) -> [u8; N] {
        let mut key = [0; N];
        Salt::new(HKDF_SHA256, b"huggate")
            .extract(&self.0)
            .expand(&[purpose.as_bytes()], Length(N))
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

/// A text that must not be shown: a client secret, an access token.
/// `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretString(String);

impl SecretString {
    /// Takes `text` out of sight.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that must send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for SecretString {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretString(..)")
    }
}

/// What a sealed text is for; each purpose has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The session cookie.
    Session,
    /// The cookie of a sign-in under way.
    Pending,
}

/// The keys of all secrets in force: the first seals, all open.
pub(crate) struct Keyring {
    epochs: Vec<Epoch>,
}

/// What one secret gives.
struct Epoch {
    /// Public name of the secret: finds the key without trying each.
    id: [u8; 4],
    session: LessSafeKey,
    pending: LessSafeKey,
    secret: Secret,
}

/// A text that opened.
pub(crate) struct Unsealed {
    pub(crate) plain: Vec<u8>,
    /// Sealed by the first secret; otherwise it is time to seal it anew.
    pub(crate) current: bool,
}

impl Keyring {
    /// Derives the keys of `first`, which seals, and of `others`, which only open.
    pub(crate) fn new(secrets: &[Secret]) -> Self {
        Self { epochs: secrets.iter().map(Epoch::new).collect() }
    }

    /// Seals `plain` into base64url text. `name` (the cookie's) is bound in: the
    /// text does not open under another. `nonce` must come from [`random`].
    pub(crate) fn seal(&self, purpose: Purpose, name: &str, nonce: [u8; NONCE], plain: &[u8]) -> String {
        let Some(epoch) = self.epochs.first() else { return String::new() };
        let mut sealed = Vec::with_capacity(HEAD + plain.len() + 16);
        sealed.push(VERSION);
        sealed.extend_from_slice(&epoch.id);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        epoch
            .key(purpose)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut body,
            )
            .expect("a cookie is far below the cipher's limit of 2^36 bytes");
        sealed.extend_from_slice(&body);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Opens what [`Keyring::seal`] made; `None` for anything else.
    pub(crate) fn open(&self, purpose: Purpose, name: &str, text: impl AsRef<[u8]>) -> Option<Unsealed> {
        let mut sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, body) = sealed.split_at_mut_checked(HEAD)?;
        let (&mut version, rest) = head.split_first_mut()?;
        let (id, nonce) = rest.split_at(4);
        if version != VERSION {
            return None;
        }
        let index = self.epochs.iter().position(|epoch| epoch.id == *id)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let key = self.epochs.get(index)?.key(purpose);
        let length = key.open_in_place(nonce, Aad::from(name.as_bytes()), body).ok()?.len();
        sealed.drain(..HEAD);
        sealed.truncate(length);
        Some(Unsealed { plain: sealed, current: index == 0 })
    }

    /// One seed per secret for the assertion's key, the first secret's first.
    /// `attempt` counts on when a seed is no valid key (one in 2^32).
    pub(crate) fn assertion_seed(&self, index: usize, attempt: u8) -> Option<Zeroizing<[u8; 32]>> {
        let epoch = self.epochs.get(index)?;
        Some(Zeroizing::new(epoch.secret.derive(&format!("assertion es256 v1 {attempt}"))))
    }

    /// A key for fingerprints that leave the process (`sid`): without it nobody
    /// can go from the hash to a session's id.
    pub(crate) fn fingerprint_key(&self) -> [u8; 32] {
        self.epochs.first().map_or([0; 32], |epoch| epoch.secret.derive("fingerprint v1"))
    }
}

/// What stands for tokens of API clients, which are not kept themselves.
pub(crate) struct Fingerprints(hmac::Key);

/// Tells a token from all others, and nobody can go from it to the token.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprints {
    /// With a key of their own, derived from the first secret.
    pub(crate) fn new(keyring: &Keyring) -> Self {
        let key = Zeroizing::new(
            keyring.epochs.first().map_or([0; 32], |epoch| epoch.secret.derive("bearer token v1")),
        );
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
    /// A name for the token that may leave the process (`sid`).
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

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} secrets)", self.epochs.len())
    }
}

impl Epoch {
    fn new(secret: &Secret) -> Self {
        let key = |purpose| {
            let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(secret.derive(purpose));
            LessSafeKey::new(
                UnboundKey::new(&AES_256_GCM_SIV, bytes.as_slice())
                    .expect("the key has the cipher's 32 bytes"),
            )
        };
        Self {
            id: secret.derive("key id v1"),
            session: key("session seal v1"),
            pending: key("pending seal v1"),
            secret: secret.clone(),
        }
    }

    fn key(&self, purpose: Purpose) -> &LessSafeKey {
        match purpose {
            Purpose::Session => &self.session,
            Purpose::Pending => &self.pending,
        }
    }
}

/// HKDF's way to be told a length.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Random bytes from the operating system's generator.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .expect("the generator is seeded when the library loads and does not fail after");
    bytes
}

/// Whether two texts are equal, in a time that does not tell where they differ.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// SHA-256.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref());
    hash
}

/// Lower- or upper-case hex of even length.
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

    fn secret(byte: u8) -> Secret {
        Secret::parse(&format!("{byte:02x}").repeat(32)).unwrap()
    }

    #[test]
    fn a_secret_is_read_from_hex_and_both_base64_alphabets() {
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
    fn a_short_or_garbled_secret_is_refused() {
        assert_eq!(Secret::parse(""), Err(SecretError::Short(0)));
        assert_eq!(Secret::parse(&"ab".repeat(31)), Err(SecretError::Short(31)));
        assert_eq!(Secret::parse("not base64 at all, is it?"), Err(SecretError::Encoding));
    }

    #[test]
    fn a_sealed_text_opens_only_under_its_purpose_and_name() {
        let ring = Keyring::new(&[secret(1)]);
        let text = ring.seal(Purpose::Session, "huggate", random(), b"hello");
        assert_eq!(ring.open(Purpose::Session, "huggate", &text).unwrap().plain, b"hello");
        assert!(ring.open(Purpose::Pending, "huggate", &text).is_none());
        assert!(ring.open(Purpose::Session, "__Host-huggate", &text).is_none());
        let mut forged = text.into_bytes();
        for index in 0..forged.len() {
            forged[index] ^= 1;
            let text = String::from_utf8_lossy(&forged).into_owned();
            assert!(ring.open(Purpose::Session, "huggate", &text).is_none(), "byte {index}");
            forged[index] ^= 1;
        }
    }

    #[test]
    fn rotation_opens_the_old_and_says_that_it_is_old() {
        let old = Keyring::new(&[secret(1)]);
        let text = old.seal(Purpose::Session, "huggate", random(), b"hello");
        let both = Keyring::new(&[secret(2), secret(1)]);
        assert!(!both.open(Purpose::Session, "huggate", &text).unwrap().current);
        let new = Keyring::new(&[secret(2)]);
        assert!(new.open(Purpose::Session, "huggate", &text).is_none());
    }

    #[test]
    fn a_token_has_one_fingerprint_under_a_secret_and_another_under_the_next() {
        let prints = |byte| Fingerprints::new(&Keyring::new(&[secret(byte)]));
        let (one, two) = (prints(1), prints(2));
        assert_eq!(one.of("hf_a"), prints(1).of("hf_a"));
        assert_ne!(one.of("hf_a"), one.of("hf_b"));
        assert_ne!(one.of("hf_a"), two.of("hf_a"));
        assert_eq!(one.of("hf_a").sid().len(), 22);
        assert_ne!(one.of("hf_a").sid(), one.of("hf_b").sid());
        assert_eq!(format!("{one:?} {:?}", one.of("hf_a")), "Fingerprints(..) Fingerprint(..)");
    }

    #[test]
    fn nothing_secret_is_printed() {
        assert_eq!(format!("{:?}", secret(7)), "Secret(..)");
        assert_eq!(format!("{:?}", SecretString::new("hf_oauth_x")), "SecretString(..)");
        assert_eq!(format!("{:?}", Keyring::new(&[secret(7)])), "Keyring(1 secrets)");
    }
}
