//! The signed assertion: the signed-in person, in a form that the app can verify.
//!
//! A JWT (RFC 7519) signed with ES256 (RFC 7518, section 3.4). The key is derived from
//! the session secret, so replicas use the same key without communicating. The public
//! keys are served as a JWK set (RFC 7517).

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::HeaderName;
use serde::Serialize;

use super::user::User;
use crate::clock::UnixTime;
use crate::keys::{Keyring, random, sha256};
use crate::setters::setters;

/// How long an assertion is valid, in seconds.
pub(crate) const LIFETIME: u64 = 5 * 60;
/// How old an assertion may be when it is sent, in seconds. The remaining lifetime allows
/// for clock skew and for slow requests.
pub(crate) const REUSE: u64 = 4 * 60;

/// Whether the app receives the assertion, and in which headers.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AssertionSettings {
    /// The headers that contain it.
    pub headers: Vec<HeaderName>,
    /// Whether it is sent at all, in headers and in place of the session cookie.
    pub enabled: bool,
}

impl AssertionSettings {
    setters!(enabled: bool; headers: into Vec<HeaderName>);
}

impl Default for AssertionSettings {
    fn default() -> Self {
        Self { headers: vec![HeaderName::from_static("x-huggate-assertion")], enabled: true }
    }
}

/// Signs assertions and publishes the keys that verify them.
pub(crate) struct AssertionSigner {
    issuer: String,
    kid: String,
    /// The encoded header, which is the same in each.
    header: String,
    pair: EcdsaKeyPair,
    jwks: String,
}

/// The claims of an assertion.
#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    preferred_username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    groups: &'a [String],
    /// Whether the list of groups was truncated; omitted if it was not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    groups_truncated: bool,
    auth_method: &'static str,
    sid: &'a str,
    #[serde(flatten)]
    token: TokenClaims,
    /// None of them has the name of one above.
    #[serde(flatten)]
    app: Option<&'a serde_json::Map<String, serde_json::Value>>,
}

/// The validity period (RFC 7519, sections 4.1.4 to 4.1.7).
#[derive(Debug, Serialize)]
struct TokenClaims {
    iat: UnixTime,
    nbf: UnixTime,
    exp: UnixTime,
    jti: String,
}

/// No key could be derived from a secret.
#[derive(Debug, thiserror::Error)]
#[error("no assertion key can be derived from the session secret")]
pub(crate) struct NoKey;

impl AssertionSigner {
    /// `issuer` is the public URL. Signs with the first secret's key and publishes all
    /// keys.
    pub(crate) fn new(issuer: &str, keyring: &Keyring) -> Result<Self, NoKey> {
        let mut signing = None;
        let mut published = Vec::new();
        for index in 0.. {
            let Some(pair) = derive_pair(keyring, index)? else { break };
            let (jwk, kid) = public_jwk(&pair).ok_or(NoKey)?;
            published.push(jwk);
            signing.get_or_insert((pair, kid));
        }
        let (pair, kid) = signing.ok_or(NoKey)?;
        let header = format!(r#"{{"typ":"JWT","alg":"ES256","kid":"{kid}"}}"#);
        Ok(Self {
            issuer: issuer.to_owned(),
            kid,
            header: URL_SAFE_NO_PAD.encode(header),
            pair,
            jwks: format!(r#"{{"keys":[{}]}}"#, published.join(",")),
        })
    }

    /// The JWK set, as JSON.
    pub(crate) fn jwks(&self) -> &str {
        &self.jwks
    }

    /// Signs an assertion about `user` for the app at `audience`, valid for 5 minutes
    /// from `now`.
    pub(crate) fn mint(&self, user: &User, sid: &str, audience: &str, now: UnixTime) -> Option<String> {
        let claims = Claims {
            iss: &self.issuer,
            aud: audience,
            sub: user.id(),
            preferred_username: user.username(),
            name: user.name(),
            email: user.email(),
            groups: user.groups(),
            groups_truncated: user.groups_truncated(),
            auth_method: user.auth_method().as_str(),
            sid,
            token: TokenClaims {
                iat: now,
                nbf: now,
                exp: now + LIFETIME,
                jti: URL_SAFE_NO_PAD.encode(random::<16>()),
            },
            app: user.claims().map(),
        };
        let token = serde_json::to_vec(&claims).ok().and_then(|claims| self.sign(&claims));
        if token.is_none() {
            tracing::error!("signing the assertion failed; the request is forwarded without it");
        }
        token
    }

    /// The compact serialization (RFC 7515, section 7.1). Signed here and not with
    /// `jsonwebtoken`, whose functions select a provider for the whole process, which is the
    /// embedder's choice.
    fn sign(&self, claims: &[u8]) -> Option<String> {
        let mut token = format!("{}.{}", self.header, URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), token.as_bytes()).ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(token)
    }
}

impl std::fmt::Debug for AssertionSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AssertionSigner").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// The key pair of the secret at `index`; `None` past the last.
fn derive_pair(keyring: &Keyring, index: usize) -> Result<Option<EcdsaKeyPair>, NoKey> {
    for attempt in 0..=u8::MAX {
        let Some(seed) = keyring.assertion_seed(index, attempt) else { return Ok(None) };
        // A seed that is zero or not less than the group's order is not a valid key: try
        // the next one.
        let Ok(private) = PrivateKey::from_private_key(&ECDH_P256, seed.as_slice()) else { continue };
        let public = private.compute_public_key().map_err(|_| NoKey)?;
        return EcdsaKeyPair::from_private_key_and_public_key(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            seed.as_slice(),
            public.as_ref(),
        )
        .map(Some)
        .map_err(|_| NoKey);
    }
    Err(NoKey)
}

/// The public half as a JWK, and its RFC 7638 thumbprint.
fn public_jwk(pair: &EcdsaKeyPair) -> Option<(String, String)> {
    // SEC 1, section 2.3.3: 0x04 ‖ x ‖ y
    let (x, y) = pair.public_key().as_ref().strip_prefix(&[4])?.split_at_checked(32)?;
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    // RFC 7638, section 3.2: only the required members, in this order, without spaces.
    let thumbprint = sha256(format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
    let kid = URL_SAFE_NO_PAD.encode(thumbprint);
    let jwk = format!(
        r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}","kid":"{kid}","alg":"ES256","use":"sig"}}"#
    );
    Some((jwk, kid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::AuthMethod;
    use crate::identity::user::tests::person;
    use crate::keys::Secret;
    use jsonwebtoken::jwk::{JwkSet, ThumbprintHash};
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};

    fn keyring(bytes: &[u8]) -> Keyring {
        let secrets: Vec<_> =
            bytes.iter().map(|byte| Secret::parse(&format!("{byte:02x}").repeat(32)).unwrap()).collect();
        Keyring::new(&secrets)
    }

    #[test]
    fn the_published_keys_verify_assertions_from_before_and_after_a_rotation() {
        let user = User::new(person(&[("acme", "admin")]), AuthMethod::Session);
        let before = AssertionSigner::new("https://app.example.com", &keyring(&[1])).unwrap();
        let after = AssertionSigner::new("https://app.example.com", &keyring(&[2, 1])).unwrap();
        let keys: JwkSet = serde_json::from_str(after.jwks()).unwrap();
        assert_eq!(keys.keys.len(), 2);
        for assertions in [&before, &after] {
            let token = assertions.mint(&user, "sid", "https://app.example.com", 1_790_000_000).unwrap();
            let kid = jsonwebtoken::decode_header(&token).unwrap().kid.unwrap();
            let jwk = keys.find(&kid).unwrap();
            assert_eq!(jwk.thumbprint(ThumbprintHash::SHA256).unwrap(), kid);
            let mut validation = Validation::new(Algorithm::ES256);
            validation.validate_exp = false;
            validation.set_audience(&["https://app.example.com"]);
            validation.set_issuer(&["https://app.example.com"]);
            let claims: serde_json::Value =
                jsonwebtoken::decode(&token, &DecodingKey::from_jwk(jwk).unwrap(), &validation)
                    .unwrap()
                    .claims;
            assert_eq!(claims["groups"], serde_json::json!(["acme", "acme:admin"]));
            assert_eq!(claims["exp"], 1_790_000_300);
            assert_eq!(claims["auth_method"], "session");
        }
    }

    #[test]
    fn replicas_derive_the_same_key() {
        let one = AssertionSigner::new("https://a.example", &keyring(&[9])).unwrap();
        let two = AssertionSigner::new("https://a.example", &keyring(&[9])).unwrap();
        assert_eq!(one.jwks(), two.jwks());
    }
}
