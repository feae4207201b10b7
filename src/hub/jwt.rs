//! Keys and signatures. Implemented by hand, so that tests can sign any header and claims, or
//! sign them wrongly.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::sync::Arc;

use super::behaviour::Signature;
use super::json::{Object, set};
use super::random;

/// The hub's keys, generated at start.
pub(super) struct Keys {
    /// Signs ID tokens.
    signing: Arc<RsaKey>,
    /// Former signing keys that are still in the JWKS.
    retired: Vec<Arc<RsaKey>>,
    /// Signs access tokens; not in the JWKS.
    access: Ed25519KeyPair,
}

impl Keys {
    /// Generates keys.
    pub(super) fn generate() -> Result<Self, Unspecified> {
        Self::with(Arc::new(RsaKey::generate()?))
    }

    /// Generates keys, except for the one that signs ID tokens.
    pub(super) fn with(signing: Arc<RsaKey>) -> Result<Self, Unspecified> {
        Ok(Self { signing, retired: Vec::new(), access: Ed25519KeyPair::generate()? })
    }

    /// The current signing key of ID tokens.
    pub(super) fn signing(&self) -> Arc<RsaKey> {
        Arc::clone(&self.signing)
    }

    /// Makes `fresh` the signing key.
    pub(super) fn rotate(&mut self, fresh: RsaKey, keep_old: bool) {
        let old = std::mem::replace(&mut self.signing, Arc::new(fresh));
        if keep_old {
            self.retired.insert(0, old);
            self.retired.truncate(8);
        } else {
            self.retired.clear();
        }
    }

    /// The JWKS (RFC 7517, section 5).
    pub(super) fn jwks(&self) -> Value {
        let keys: Vec<Value> =
            std::iter::once(&self.signing).chain(&self.retired).map(|key| key.jwk()).collect();
        json!({ "keys": keys })
    }

    /// An access token without its prefix: a JWT signed with Ed25519.
    pub(super) fn access_token(&self, claims: &Value) -> String {
        let input = format!("{}.{}", encoded(&json!({"alg": "EdDSA"})), encoded(claims));
        let signature = self.access.sign(input.as_bytes());
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// An RS256 key.
pub(super) struct RsaKey {
    /// The key pair.
    pair: RsaKeyPair,
    /// Its key id.
    kid: String,
}

impl RsaKey {
    /// Generates a 2048-bit key.
    pub(super) fn generate() -> Result<Self, Unspecified> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048)?;
        let kid =
            random::hex(digest(&SHA256, pair.public_key().as_ref()).as_ref()).chars().take(16).collect();
        Ok(Self { pair, kid })
    }

    /// Its key id.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// An ID token with this header and these claims, signed according to `how`.
    pub(super) fn id_token(
        &self,
        header: &mut Object,
        claims: &Object,
        how: &Signature,
        client_secret: Option<&str>,
    ) -> String {
        let mac_key = match how {
            Signature::Rs256 | Signature::ForeignKey | Signature::Corrupted => None,
            Signature::None => {
                set(header, "alg", "none");
                return format!("{}.{}.", encoded(header), encoded(claims));
            }
            Signature::ClientSecret => Some(client_secret.unwrap_or_default().as_bytes().to_vec()),
            Signature::PublicKey => Some(self.pem().into_bytes()),
        };
        if let Some(key) = mac_key {
            set(header, "alg", "HS256");
            let input = format!("{}.{}", encoded(header), encoded(claims));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), input.as_bytes());
            return format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag));
        }
        let input = format!("{}.{}", encoded(header), encoded(claims));
        let mut signature = match how {
            Signature::ForeignKey => Self::generate().and_then(|foreign| foreign.sign(&input)),
            _ => self.sign(&input),
        }
        .unwrap_or_default();
        if *how == Signature::Corrupted
            && let Some(byte) = signature.last_mut()
        {
            *byte ^= 1;
        }
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// RS256 (RFC 7518, section 3.3).
    fn sign(&self, input: &str) -> Result<Vec<u8>, Unspecified> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input.as_bytes(), &mut signature)?;
        Ok(signature)
    }

    /// The public key as a JWK.
    fn jwk(&self) -> Value {
        // RFC 8017, appendix A.1.1: SEQUENCE { INTEGER n, INTEGER e }. At 2048 bits the two
        // headers and the sign byte take 9 bytes, followed by n and the header of e; the
        // exponent is always 65537.
        let modulus = self.pair.public_key().as_ref().get(9..9 + 256).unwrap_or_default();
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid,
            "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB",
        })
    }

    /// The public key as PEM.
    fn pem(&self) -> String {
        let der: Result<PublicKeyX509Der<'_>, Unspecified> = self.pair.public_key().as_der();
        let text = der.map(|der| STANDARD.encode(der.as_ref())).unwrap_or_default();
        let mut pem = "-----BEGIN PUBLIC KEY-----\n".to_owned();
        for (index, letter) in text.chars().enumerate() {
            if index > 0 && index % 64 == 0 {
                pem.push('\n');
            }
            pem.push(letter);
        }
        pem + "\n-----END PUBLIC KEY-----\n"
    }
}

/// `BASE64URL(JSON)` (RFC 7515, section 2).
fn encoded(value: &impl serde::Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

/// The S256 transformation (RFC 7636, section 4.2).
pub(super) fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_s256_challenge_matches_the_rfc() {
        // RFC 7636, appendix B.
        let challenge = s256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn the_jwk_verifies_signatures() {
        use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
        let key = RsaKey::generate().unwrap();
        let jwk = key.jwk();
        let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let public = RsaPublicKeyComponents { n: number("n"), e: number("e") };
        let signature = key.sign("hello").unwrap();
        public.verify(&RSA_PKCS1_2048_8192_SHA256, b"hello", &signature).unwrap();
        assert!(public.verify(&RSA_PKCS1_2048_8192_SHA256, b"hallo", &signature).is_err());
    }
}
