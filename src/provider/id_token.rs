//! The ID token: OpenID Connect Core 1.0, section 3.1.3.7.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::http_client::FetchError;
use super::jwks::{JwksError, Keys};
use crate::clock::UnixTime;
use crate::keys::{equal, sha256};

/// How far the provider's clock may be from ours, in seconds.
const CLOCK_SKEW: u64 = 60;
/// The longest life an ID token may claim, in seconds. The provider's live an
/// hour; one that never ends is none.
const MAX_LIFETIME: u64 = 24 * 3600;

/// The algorithms that count (RFC 8725, section 3.1): asymmetric ones alone.
/// `none` and HMAC are not on the list, whatever a token or a key says.
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

/// What the token must agree with.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) access_token: &'a str,
    pub(super) now: UnixTime,
}

/// Why an ID token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdTokenError {
    #[error(transparent)]
    Keys(FetchError),
    #[error("the ID token is not a signed JWT")]
    Malformed,
    #[error("the ID token is signed with {0:?}, which is not accepted")]
    Algorithm(String),
    #[error("the ID token has a critical header that is not understood")]
    Critical,
    #[error("the ID token is signed with a key that the provider does not publish")]
    UnknownKey,
    #[error("the provider's keys could not be loaded a moment ago")]
    KeysUnavailable,
    #[error("the ID token's signature does not fit")]
    Signature,
    #[error("the ID token lacks a claim it must have, or has one of a wrong type")]
    Claims,
    #[error("the ID token comes from another issuer")]
    Issuer,
    #[error("the ID token is meant for another app")]
    Audience,
    #[error("the ID token was issued to another app")]
    AuthorizedParty,
    #[error("the ID token has expired, or never does")]
    Expired,
    #[error("the ID token is from the future")]
    Future,
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

/// A token taken apart, nothing of it proven yet.
pub(super) struct Unverified<'a> {
    token: &'a str,
    algorithm: Algorithm,
    kid: Option<String>,
}

/// The header's members that matter (RFC 7515, section 4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

/// The claims that are checked. The types are strict on purpose: `iss` and `sub`
/// are one text each, and a time is a number of seconds that fits.
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
    /// Whole seconds; `None` for what is no point in time.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked, and the fraction does not matter"
    )]
    fn whole(self) -> Option<UnixTime> {
        (self.0.is_finite() && self.0 >= 0.0 && self.0 < 1e11).then_some(self.0 as UnixTime)
    }
}

/// Reads the header and refuses what could never be accepted.
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
    // RFC 7515, section 4.1.11: a critical member that is not understood makes
    // the token invalid, and none is understood here.
    if header.crit.is_some() {
        return Err(IdTokenError::Critical);
    }
    let Some((_, algorithm)) = ALGORITHMS.iter().find(|(name, _)| *name == header.alg) else {
        return Err(IdTokenError::Algorithm(header.alg.chars().take(16).collect()));
    };
    Ok(Unverified { token, algorithm: *algorithm, kid: header.kid })
}

impl Unverified<'_> {
    /// The key the token names.
    pub(super) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Checks signature and claims; returns the subject.
    pub(super) fn verify(&self, keys: &Keys, expected: &Expected<'_>) -> Result<String, IdTokenError> {
        let claims = self.signed_claims(keys)?;
        // The order of section 3.1.3.7.
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
        // With several audiences the party must be named, or it could be any.
        let party = claims.azp.as_deref().or((audiences.len() == 1).then_some(expected.client_id));
        if party != Some(expected.client_id) {
            return Err(IdTokenError::AuthorizedParty);
        }
        times(&claims, expected.now)?;
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

    /// The claims, if one of the keys signed them.
    fn signed_claims(&self, keys: &Keys) -> Result<Claims, IdTokenError> {
        // The signature alone: the library's own checks of claims let pass what
        // is absent, and know neither nonce nor party.
        let mut validation = Validation::new(self.algorithm);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        for key in keys.candidates(self.kid()) {
            let agreed =
                key.common.key_algorithm.is_none_or(|named| named.to_string() == name(self.algorithm));
            let Ok(key) = DecodingKey::from_jwk(key) else { continue };
            if !agreed || key.family() != self.algorithm.family() {
                continue;
            }
            match jsonwebtoken::decode::<Claims>(self.token, &key, &validation) {
                Ok(data) => return Ok(data.claims),
                Err(error) => match error.kind() {
                    jsonwebtoken::errors::ErrorKind::Json(_) => return Err(IdTokenError::Claims),
                    // Another key without a kid may fit.
                    _ => continue,
                },
            }
        }
        Err(IdTokenError::Signature)
    }

    /// Section 3.1.3.6: the left half of the access token's hash. The hash is that
    /// of the algorithm; for those with another than SHA-256 it is left unchecked,
    /// as the section allows, rather than checked wrongly.
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

fn times(claims: &Claims, now: UnixTime) -> Result<(), IdTokenError> {
    let exp = claims.exp.whole().ok_or(IdTokenError::Expired)?;
    if exp.saturating_add(CLOCK_SKEW) <= now || exp > now.saturating_add(MAX_LIFETIME) {
        return Err(IdTokenError::Expired);
    }
    let begins = [Some(claims.iat), claims.nbf];
    for begin in begins.into_iter().flatten() {
        if begin.whole().is_none_or(|begin| begin > now.saturating_add(CLOCK_SKEW)) {
            return Err(IdTokenError::Future);
        }
    }
    // Issued long ago and still not expired: not the answer to this sign-in.
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
    fn algorithms_that_prove_nothing_are_refused_before_a_key_is_looked_at() {
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
    fn times_are_bounded_on_both_sides() {
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
            times(&claims, now)
        };
        #[expect(clippy::cast_precision_loss, reason = "seconds of this century fit")]
        let base = now as f64;
        assert_eq!(at(base + 3600.0, base), Ok(()));
        assert_eq!(at(base + 3600.0, base + 30.0), Ok(()), "clocks may differ a little");
        for exp in [base - 61.0, 1e300, f64::INFINITY, -1.0, base + 1e6] {
            assert_eq!(at(exp, base), Err(IdTokenError::Expired), "{exp}");
        }
        assert_eq!(at(base + 3600.0, base + 3600.0), Err(IdTokenError::Future));
        assert_eq!(at(base + 3600.0, base - 1e6), Err(IdTokenError::Expired));
    }
}
