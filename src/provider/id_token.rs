//! ID token validation: OpenID Connect Core 1.0, section 3.1.3.7.

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::http_client::FetchError;
use super::json::Member;
use super::jwks::{JwksError, Keys};
use super::signed_jwt::{self, Audience, JwtError, LOGOUT_EVENT, LOGOUT_TYPE, Seconds, Unverified};
use crate::clock::UnixTime;
use crate::keys::{equal, sha256};

/// Maximum lifetime of an ID token, in seconds. The provider's tokens expire after an hour.
const MAX_LIFETIME: u64 = 24 * 3600;

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
    #[error("the ID token is a logout token")]
    LogoutToken,
}

impl From<JwtError> for IdTokenError {
    fn from(error: JwtError) -> Self {
        match error {
            JwtError::Malformed => Self::Malformed,
            JwtError::Algorithm(algorithm) => Self::Algorithm(algorithm),
            JwtError::Critical => Self::Critical,
            JwtError::Signature => Self::Signature,
            JwtError::Claims => Self::Claims,
        }
    }
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
    #[serde(default)]
    sid: Member<String>,
    #[serde(default)]
    events: Member<HashMap<String, IgnoredAny>>,
}

/// What a valid ID token says.
pub(super) struct Verified {
    pub(super) sub: String,
    /// The session at the provider (OpenID Connect Back-Channel Logout 1.0, section 2.1).
    pub(super) sid: Option<String>,
}

/// Parses the header and rejects tokens that can never be accepted.
pub(super) fn parse(token: &str) -> Result<Unverified<'_>, IdTokenError> {
    Ok(signed_jwt::parse(token)?)
}

/// Verifies the signature and the claims.
pub(super) fn verify(
    token: &Unverified<'_>,
    keys: &Keys,
    expected: &Expected<'_>,
) -> Result<Verified, IdTokenError> {
    let claims: Claims = token.claims(keys)?;
    let is_logout = matches!(&claims.events, Member::Value(events) if events.contains_key(LOGOUT_EVENT));
    if is_logout || token.media_type().as_deref() == Some(LOGOUT_TYPE) {
        return Err(IdTokenError::LogoutToken);
    }
    // In the order of section 3.1.3.7.
    if claims.iss != expected.issuer {
        return Err(IdTokenError::Issuer);
    }
    if !claims.aud.names(expected.client_id) {
        return Err(IdTokenError::Audience);
    }
    // With several audiences, the authorized party must be named.
    let party = claims.azp.as_deref().or((claims.aud.list().len() == 1).then_some(expected.client_id));
    if party != Some(expected.client_id) {
        return Err(IdTokenError::AuthorizedParty);
    }
    times(&claims, expected.now, expected.clock_skew)?;
    match &claims.nonce {
        Some(nonce) if equal(nonce.as_bytes(), expected.nonce.as_bytes()) => {}
        Some(_) | None => return Err(IdTokenError::Nonce),
    }
    if let Some(hash) = &claims.at_hash {
        check_at_hash(token.algorithm(), hash, expected.access_token)?;
    }
    if claims.sub.is_empty() {
        return Err(IdTokenError::Claims);
    }
    let sid = match claims.sid {
        Member::Value(sid) => Some(sid),
        Member::Absent | Member::Malformed => None,
    };
    Ok(Verified { sub: claims.sub, sid })
}

/// Section 3.1.3.6: the left half of the access token's hash. The hash function depends on
/// the algorithm; where it is not SHA-256, `at_hash` is not checked, which the section
/// allows.
fn check_at_hash(algorithm: Algorithm, hash: &str, access_token: &str) -> Result<(), IdTokenError> {
    if !matches!(algorithm, Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256) {
        return Ok(());
    }
    let digest = sha256(access_token.as_bytes());
    let expected = URL_SAFE_NO_PAD.encode(digest.get(..16).unwrap_or_default());
    if equal(expected.as_bytes(), hash.trim_end_matches('=').as_bytes()) {
        return Ok(());
    }
    Err(IdTokenError::AccessToken)
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

#[cfg(test)]
mod tests {
    use super::*;

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
                sid: Member::Absent,
                events: Member::Absent,
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
