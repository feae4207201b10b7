//! ID token validation: OpenID Connect Core 1.0, section 3.1.3.7.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::http_client::FetchError;
use super::jwks::{JwksError, Keys};
use crate::clock::UnixTime;
use crate::keys::{equal, sha256};

/// Maximum lifetime of an ID token, in seconds. The provider's tokens expire after an hour.
const MAX_LIFETIME: u64 = 24 * 3600;

/// The allowed algorithms (RFC 8725, section 3.1). All are asymmetric: `none` and HMAC are
/// rejected, whatever a token or a key says.
const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// Expected values of the claims.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) access_token: &'a str,
    pub(super) now: UnixTime,
    /// Tolerated clock skew between the provider and us, in seconds.
    pub(super) clock_skew: u64,
}

/// Why an ID token is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdTokenError {
    #[error(transparent)]
    Keys(#[from] FetchError),
    #[error("the ID token is not a signed JWT")]
    Malformed,
    #[error("the ID token is signed with {0:?}, which is not accepted")]
    Algorithm(String),
    #[error("the ID token has an unsupported critical header parameter")]
    Critical,
    #[error("the ID token is signed with a key that is not in the provider's JWKS")]
    UnknownKey,
    #[error("the provider's keys could not be loaded")]
    KeysUnavailable,
    #[error("the ID token's signature is invalid")]
    Signature,
    #[error("the ID token lacks a required claim, or a claim has the wrong type")]
    Claims,
    #[error("the ID token is from another issuer")]
    Issuer,
    #[error("the ID token is for another app")]
    Audience,
    #[error("the ID token was issued to another app")]
    AuthorizedParty,
    #[error("the ID token has expired, or its lifetime is too long")]
    Expired,
    #[error("the ID token has expired: it was valid until {ago} seconds ago by the clock of this server")]
    ExpiredAgo { ago: u64 },
    #[error("the ID token is not valid yet: it was issued {ahead} seconds ahead of the clock of this server")]
    Future { ahead: u64 },
    #[error("the ID token belongs to another sign-in")]
    Nonce,
    #[error("the ID token belongs to another access token")]
    AccessToken,
}

impl From<JwksError> for IdTokenError {
    fn from(error: JwksError) -> Self {
        match error {
            JwksError::Fetch(error) => Self::Keys(error),
            JwksError::UnknownKey => Self::UnknownKey,
            JwksError::KeysUnavailable => Self::KeysUnavailable,
        }
    }
}

/// A parsed token; its signature and claims are not verified yet.
pub(super) struct Unverified<'a> {
    token: &'a str,
    algorithm: Algorithm,
    kid: Option<String>,
}

/// The header parameters that are used (RFC 7515, section 4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// The claims that are validated. The types are strict on purpose: `iss` and `sub` must be
/// single strings, and times must be numbers in range.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: Seconds,
    iat: Seconds,
    nbf: Option<Seconds>,
    nonce: Option<String>,
    at_hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// A `NumericDate` (RFC 7519, section 2), which may have a fraction.
#[derive(Deserialize, Clone, Copy)]
struct Seconds(f64);

impl Seconds {
    /// Whole seconds; `None` if out of range.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked, and the fraction does not matter"
    )]
    fn whole(self) -> Option<UnixTime> {
        (self.0.is_finite() && self.0 >= 0.0 && self.0 < 1e11).then_some(self.0 as UnixTime)
    }
}

/// Parses the header and rejects tokens that can never be accepted.
pub(super) fn parse(token: &str) -> Result<Unverified<'_>, IdTokenError> {
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(IdTokenError::Malformed);
    };
    if signature.is_empty() {
        return Err(IdTokenError::Malformed);
    }
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| IdTokenError::Malformed)?;
    let header: Header = serde_json::from_slice(&header).map_err(|_| IdTokenError::Malformed)?;
    // RFC 7515, section 4.1.11: a token with an unsupported critical header parameter is
    // invalid, and none is supported.
    if header.crit.is_some() {
        return Err(IdTokenError::Critical);
    }
    let Some((_, algorithm)) = ALGORITHMS.iter().find(|(name, _)| *name == header.alg) else {
        return Err(IdTokenError::Algorithm(header.alg.chars().take(16).collect()));
    };
    Ok(Unverified { token, algorithm: *algorithm, kid: header.kid })
}

impl Unverified<'_> {
    /// The key id in the header.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Verifies the signature and the claims; returns the subject.
    pub(super) fn verify(&self, keys: &Keys, expected: &Expected<'_>) -> Result<String, IdTokenError> {
        let claims = self.signed_claims(keys)?;
        // In the order of section 3.1.3.7.
        if claims.iss != expected.issuer {
            return Err(IdTokenError::Issuer);
        }
        let audiences = match &claims.aud {
            Audience::One(audience) => std::slice::from_ref(audience),
            Audience::Several(list) => list,
        };
        if !audiences.iter().any(|audience| audience == expected.client_id) {
            return Err(IdTokenError::Audience);
        }
        // With several audiences, the authorized party must be named.
        let party = claims.azp.as_deref().or((audiences.len() == 1).then_some(expected.client_id));
        if party != Some(expected.client_id) {
            return Err(IdTokenError::AuthorizedParty);
        }
        times(&claims, expected.now, expected.clock_skew)?;
        match &claims.nonce {
            Some(nonce) if equal(nonce.as_bytes(), expected.nonce.as_bytes()) => {}
            Some(_) | None => return Err(IdTokenError::Nonce),
        }
        if let Some(hash) = &claims.at_hash {
            self.check_at_hash(hash, expected.access_token)?;
        }
        if claims.sub.is_empty() {
            return Err(IdTokenError::Claims);
        }
        Ok(claims.sub)
    }

    /// The claims, if one of the keys verifies the signature.
    fn signed_claims(&self, keys: &Keys) -> Result<Claims, IdTokenError> {
        let (message, signature) = self.token.rsplit_once('.').ok_or(IdTokenError::Malformed)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| IdTokenError::Signature)?;
        for key in keys.candidates(self.kid()) {
            let agreed =
                key.common.key_algorithm.is_none_or(|named| named.to_string() == name(self.algorithm));
            let Ok(key) = DecodingKey::from_jwk(key) else { continue };
            if !agreed || key.family() != self.algorithm.family() {
                continue;
            }
            // The provider is named: the functions of `jsonwebtoken` use one that they install
            // for the whole process, which is the embedder's choice.
            let Ok(verifier) = (DEFAULT_PROVIDER.verifier_factory)(&self.algorithm, &key) else { continue };
            // Without a kid, another key may verify it.
            if verifier.verify(message.as_bytes(), &signature).is_ok() {
                return claims(message);
            }
        }
        Err(IdTokenError::Signature)
    }

    /// Section 3.1.3.6: the left half of the access token's hash. The hash function depends on
    /// the algorithm; where it is not SHA-256, `at_hash` is not checked, which the section
    /// allows.
    fn check_at_hash(&self, hash: &str, access_token: &str) -> Result<(), IdTokenError> {
        if !matches!(self.algorithm, Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256) {
            return Ok(());
        }
        let digest = sha256(access_token.as_bytes());
        let expected = URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default());
        if equal(expected.as_bytes(), hash.trim_end_matches('=').as_bytes()) {
            return Ok(());
        }
        Err(IdTokenError::AccessToken)
    }
}

/// The claims of a token whose signature was verified.
fn claims(message: &str) -> Result<Claims, IdTokenError> {
    let (_, claims) = message.split_once('.').ok_or(IdTokenError::Malformed)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| IdTokenError::Claims)?;
    serde_json::from_slice(&claims).map_err(|_| IdTokenError::Claims)
}

/// The differences are told, since a wrong clock is the common cause.
fn times(claims: &Claims, now: UnixTime, skew: u64) -> Result<(), IdTokenError> {
    for begin in [Some(claims.iat), claims.nbf].into_iter().flatten() {
        let begin = begin.whole().ok_or(IdTokenError::Claims)?;
        if begin > now.saturating_add(skew) {
            return Err(IdTokenError::Future { ahead: begin - now });
        }
    }
    let exp = claims.exp.whole().ok_or(IdTokenError::Expired)?;
    if exp.saturating_add(skew) <= now {
        return Err(IdTokenError::ExpiredAgo { ago: now - exp });
    }
    if exp > now.saturating_add(MAX_LIFETIME) {
        return Err(IdTokenError::Expired);
    }
    // A token that was issued long ago does not belong to this sign-in.
    if claims.iat.whole().is_none_or(|iat| iat.saturating_add(MAX_LIFETIME) < now) {
        return Err(IdTokenError::Expired);
    }
    Ok(())
}

fn name(algorithm: Algorithm) -> &'static str {
    ALGORITHMS.iter().find(|(_, listed)| *listed == algorithm).map_or("", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"))
    }

    #[test]
    fn unsafe_algorithms_are_rejected_before_any_key_is_tried() {
        for algorithm in ["none", "None", "HS256", "HS512", "rs256", "", "ES256K"] {
            let token = token(&format!(r#"{{"alg":"{algorithm}"}}"#));
            assert_eq!(
                parse(&token).err(),
                Some(IdTokenError::Algorithm(algorithm.to_owned())),
                "{algorithm}"
            );
        }
        assert_eq!(parse(&token(r#"{"alg":"RS256","crit":["b64"]}"#)).err(), Some(IdTokenError::Critical));
        assert!(parse(&token(r#"{"alg":"RS256"}"#)).is_ok());
        for garbage in ["", ".", "a.b.c.d", "a.b.", "....", "eyJhbGciOiJSUzI1NiJ9.e30"] {
            assert_eq!(parse(garbage).err(), Some(IdTokenError::Malformed), "{garbage}");
        }
    }

    #[test]
    fn exp_iat_and_nbf_are_bounded_on_both_sides() {
        let now = 1_790_000_000;
        let at = |exp: f64, iat: f64| {
            let claims = Claims {
                iss: String::new(),
                sub: String::new(),
                aud: Audience::One(String::new()),
                azp: None,
                exp: Seconds(exp),
                iat: Seconds(iat),
                nbf: None,
                nonce: None,
                at_hash: None,
            };
            times(&claims, now, 60)
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds of this century fit")]
        let base = now as f64;
        assert_eq!(at(base + 3600.0, base), Ok(()));
        assert_eq!(at(base + 3600.0, base + 30.0), Ok(()), "clocks may differ a little");
        for exp in [1e300, f64::INFINITY, -1.0, base + 1e6] {
            assert_eq!(at(exp, base), Err(IdTokenError::Expired), "{exp}");
        }
        assert_eq!(at(base - 61.0, base), Err(IdTokenError::ExpiredAgo { ago: 61 }));
        assert_eq!(at(base + 3600.0, base + 3600.0), Err(IdTokenError::Future { ahead: 3600 }));
        assert_eq!(at(base + 3600.0, f64::INFINITY), Err(IdTokenError::Claims));
        assert_eq!(at(base + 3600.0, base - 1e6), Err(IdTokenError::Expired));
    }
}
