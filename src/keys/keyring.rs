//! The keyring: sealing, opening, rotation.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::secret::Secret;

/// Length of the header: version, key id, nonce.
const HEADER_LEN: usize = 1 + 4 + NONCE_LEN;
/// Format version of [`Keyring::seal`]; texts of other versions are rejected.
const VERSION: u8 = 1;
/// Length of the nonce (RFC 8452, section 4).
const NONCE_LEN: usize = 12;

/// What a text is sealed for; each purpose has its own key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The session cookie.
    Session,
    /// The cookie of a pending sign-in.
    Pending,
}

/// What seals bytes for a store, beside the secret.
#[derive(Clone, Copy)]
pub(crate) struct StoreSeal<'a> {
    /// What the bytes are for; each purpose has its own keys.
    pub(crate) purpose: &'static str,
    /// A key that somebody else holds, or nothing.
    pub(crate) share: &'a [u8],
    /// Where the bytes are kept. They open nowhere else.
    pub(crate) place: &'a [u8],
}

/// The keys of all configured secrets: the first one seals, all of them open.
pub(crate) struct Keyring {
    secrets: Vec<SecretKeys>,
}

/// The keys derived from one secret.
struct SecretKeys {
    /// Public key id, to find the key without trying all.
    id: [u8; 4],
    session: LessSafeKey,
    pending: LessSafeKey,
    secret: Secret,
}

/// An opened text.
pub(crate) struct Unsealed {
    pub(crate) plain: Vec<u8>,
    /// Whether the first secret sealed it; otherwise it should be sealed again.
    pub(crate) current: bool,
}

impl Keyring {
    /// Derives the keys of `secrets`: the first one seals, all of them open.
    pub(crate) fn new(secrets: &[Secret]) -> Self {
        Self { secrets: secrets.iter().map(SecretKeys::new).collect() }
    }

    /// Seals `plain` and encodes it as base64url. `name` (the cookie's name) is authenticated:
    /// the text does not open under another name. `nonce` must come from
    /// [`random`](super::random).
    pub(crate) fn seal(&self, purpose: Purpose, name: &str, nonce: [u8; NONCE_LEN], plain: &[u8]) -> String {
        let Some(keys) = self.secrets.first() else { return String::new() };
        let mut sealed = Vec::with_capacity(HEADER_LEN + plain.len() + 16);
        sealed.push(VERSION);
        sealed.extend_from_slice(&keys.id);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        keys.key(purpose)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut body,
            )
            .expect("a cookie is far below the cipher's limit of 2^36 bytes");
        sealed.extend_from_slice(&body);
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Opens a text sealed by [`Keyring::seal`]; `None` if it is not authentic.
    pub(crate) fn open(&self, purpose: Purpose, name: &str, text: impl AsRef<[u8]>) -> Option<Unsealed> {
        let mut sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (head, body) = sealed.split_at_mut_checked(HEADER_LEN)?;
        let (&mut version, rest) = head.split_first_mut()?;
        let (id, nonce) = rest.split_at(4);
        if version != VERSION {
            return None;
        }
        let index = self.secrets.iter().position(|keys| keys.id == *id)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let key = self.secrets.get(index)?.key(purpose);
        let length = key.open_in_place(nonce, Aad::from(name.as_bytes()), body).ok()?.len();
        sealed.drain(..HEADER_LEN);
        sealed.truncate(length);
        Some(Unsealed { plain: sealed, current: index == 0 })
    }

    /// The seed of the assertion's key for the secret at `index`. `attempt` is incremented if a
    /// seed is not a valid key (one in 2^32).
    pub(crate) fn assertion_seed(&self, index: usize, attempt: u8) -> Option<Zeroizing<[u8; 32]>> {
        let keys = self.secrets.get(index)?;
        Some(Zeroizing::new(keys.secret.derive(&format!("assertion es256 v1 {attempt}"))))
    }

    /// Seals `plain` for a store, under a key derived from the first secret, `purpose` and
    /// `share` (a key that the browser holds, or nothing). `place` is authenticated: the
    /// bytes open nowhere else. `nonce` must come from [`random`](super::random).
    pub(crate) fn seal_for_store(
        &self,
        StoreSeal { purpose, share, place }: StoreSeal<'_>,
        nonce: [u8; NONCE_LEN],
        plain: &[u8],
    ) -> Vec<u8> {
        let Some(keys) = self.secrets.first() else { return Vec::new() };
        let mut sealed = Vec::with_capacity(HEADER_LEN + plain.len() + 16);
        sealed.push(VERSION);
        sealed.extend_from_slice(&keys.id);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        keys.store_key(purpose, share)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), &mut body)
            .expect("a record is far below the cipher's limit of 2^36 bytes");
        sealed.extend_from_slice(&body);
        sealed
    }

    /// Opens what [`Keyring::seal_for_store`] sealed with the same arguments, under any of
    /// the secrets.
    pub(crate) fn open_from_store(
        &self,
        StoreSeal { purpose, share, place }: StoreSeal<'_>,
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        let (head, body) = sealed.split_at_checked(HEADER_LEN)?;
        let (&version, rest) = head.split_first()?;
        let (id, nonce) = rest.split_at(4);
        let keys = self.secrets.iter().find(|keys| version == VERSION && keys.id == *id)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut plain = Zeroizing::new(body.to_vec());
        let length =
            keys.store_key(purpose, share).open_in_place(nonce, Aad::from(place), &mut plain).ok()?.len();
        plain.truncate(length);
        Some(plain)
    }

    /// What replaces an account id in a store: HMAC-SHA256 under a key of each secret, the
    /// first secret's first.
    pub(crate) fn account_tags(&self, sub: &str) -> Vec<[u8; 16]> {
        let tag = |keys: &SecretKeys| {
            let key: Zeroizing<[u8; 32]> = Zeroizing::new(keys.secret.derive("session owner v1"));
            let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_slice());
            hmac::sign(&key, sub.as_bytes()).as_ref().first_chunk().copied().unwrap_or_default()
        };
        self.secrets.iter().map(tag).collect()
    }

    /// The key of [`Fingerprints`](super::Fingerprints), derived from the first secret.
    pub(super) fn bearer_token_key(&self) -> [u8; 32] {
        self.secrets.first().map_or([0; 32], |keys| keys.secret.derive("bearer token v1"))
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} secrets)", self.secrets.len())
    }
}

impl SecretKeys {
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

    fn store_key(&self, purpose: &'static str, share: &[u8]) -> LessSafeKey {
        let bytes: Zeroizing<[u8; 32]> = Zeroizing::new(self.secret.derive_with(purpose, share));
        LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM_SIV, bytes.as_slice()).expect("the key has the cipher's 32 bytes"),
        )
    }

    fn key(&self, purpose: Purpose) -> &LessSafeKey {
        match purpose {
            Purpose::Session => &self.session,
            Purpose::Pending => &self.pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::random;
    use super::*;

    fn secret(byte: u8) -> Secret {
        Secret::parse(&format!("{byte:02x}").repeat(32)).unwrap()
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
    fn a_rotated_secret_still_opens_but_is_not_current() {
        let old = Keyring::new(&[secret(1)]);
        let text = old.seal(Purpose::Session, "huggate", random(), b"hello");
        let both = Keyring::new(&[secret(2), secret(1)]);
        assert!(!both.open(Purpose::Session, "huggate", &text).unwrap().current);
        let new = Keyring::new(&[secret(2)]);
        assert!(new.open(Purpose::Session, "huggate", &text).is_none());
    }

    #[test]
    fn debug_output_hides_the_secrets() {
        assert_eq!(format!("{:?}", Keyring::new(&[secret(7)])), "Keyring(1 secrets)");
    }
}
