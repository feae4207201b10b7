//! Logout tokens: OpenID Connect Back-Channel Logout 1.0, sections 2.4 and 2.6.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::discovery::DiscoveryError;
use super::http_client::FetchError;
use super::jwks::{JwksError, Keys};
use super::signed_jwt::{Audience, JwtError, LOGOUT_EVENT, LOGOUT_TYPE, Seconds, Unverified};
use crate::clock::UnixTime;

/// The maximum age of a logout token, in seconds. The specification recommends an `exp` two
/// minutes ahead at most.
pub(crate) const MAX_AGE: u64 = 120;
/// The maximum length of `sub`, `sid` and `jti`, in bytes.
const MAX_ID: usize = 255;

/// Whom the provider has signed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProviderLogout {
    /// The account; `None` if only the session is named.
    pub(crate) sub: Option<String>,
    /// The session at the provider; `None` for all sessions of the account.
    pub(crate) sid: Option<String>,
    /// The token's id.
    pub(crate) jti: String,
    /// From when on the token is too old, in seconds since 1970.
    pub(crate) expires: UnixTime,
}

/// Why a logout token is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogoutTokenError {
    #[error("the provider's metadata could not be loaded")]
    Discovery(#[from] DiscoveryError),
    #[error("the provider's keys could not be loaded")]
    Keys(#[from] FetchError),
    #[error("the provider's keys could not be loaded a moment ago")]
    KeysUnavailable,
    #[error("the logout token is not a signed JWT")]
    Malformed,
    #[error("the logout token is signed with {0:?}, which is not accepted")]
    Algorithm(String),
    #[error("the logout token has an unsupported critical header parameter")]
    Critical,
    #[error("the token's type (typ) is not that of a logout token")]
    Type,
    #[error("the logout token is signed with a key that is not in the provider's JWKS")]
    UnknownKey,
    #[error("the logout token's signature is invalid")]
    Signature,
    #[error("the logout token lacks a required claim, or a claim has the wrong type or is too long")]
    Claims,
    #[error("the logout token is from another issuer")]
    Issuer,
    #[error("the logout token is for another app")]
    Audience,
    #[error("the logout token is too old, or has expired")]
    Expired,
    #[error("the logout token is from the future")]
    Future,
    #[error("the token has no back-channel logout event (events)")]
    Event,
    #[error("the token has a nonce, which a logout token must not have")]
    Nonce,
    #[error("the logout token names neither an account (sub) nor a session (sid)")]
    Nobody,
}

impl LogoutTokenError {
    /// Whether the provider's keys are missing, so that the same token may be valid.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self, Self::Discovery(_) | Self::Keys(_) | Self::KeysUnavailable)
    }
}

impl From<JwtError> for LogoutTokenError {
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

impl From<JwksError> for LogoutTokenError {
    fn from(error: JwksError) -> Self {
        match error {
            JwksError::Fetch(error) => Self::Keys(error),
            JwksError::UnknownKey => Self::UnknownKey,
            JwksError::KeysUnavailable => Self::KeysUnavailable,
        }
    }
}

/// Expected values of the claims.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) now: UnixTime,
    /// Tolerated clock skew between the provider and us, in seconds.
    pub(super) clock_skew: u64,
}

/// The claims that are validated. Every one that is there must have its type.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    iat: Seconds,
    exp: Option<Seconds>,
    jti: String,
    events: HashMap<String, Value>,
    sub: Option<String>,
    sid: Option<String>,
    /// Also one that is `null`.
    #[serde(default, deserialize_with = "present")]
    nonce: bool,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// The type is optional, and `JWT` says nothing (RFC 7519, section 5.1). Access tokens have
/// one of their own (RFC 9068, section 2.1).
pub(super) fn check_type(token: &Unverified<'_>) -> Result<(), LogoutTokenError> {
    match token.media_type().as_deref() {
        None | Some("jwt" | LOGOUT_TYPE) => Ok(()),
        Some(_) => Err(LogoutTokenError::Type),
    }
}

/// Verifies the signature and the claims.
pub(super) fn verify(
    token: &Unverified<'_>,
    keys: &Keys,
    expected: &Expected<'_>,
) -> Result<ProviderLogout, LogoutTokenError> {
    let claims: Claims = token.claims(keys)?;
    if claims.iss != expected.issuer {
        return Err(LogoutTokenError::Issuer);
    }
    if !claims.aud.names(expected.client_id) {
        return Err(LogoutTokenError::Audience);
    }
    let expires = times(&claims, expected)?;
    // Neither an ID token nor an access token has it.
    if !claims.events.get(LOGOUT_EVENT).is_some_and(Value::is_object) {
        return Err(LogoutTokenError::Event);
    }
    if claims.nonce {
        return Err(LogoutTokenError::Nonce);
    }
    let ids = [Some(&claims.jti), claims.sub.as_ref(), claims.sid.as_ref()];
    if ids.into_iter().flatten().any(|id| id.is_empty() || id.len() > MAX_ID) {
        return Err(LogoutTokenError::Claims);
    }
    if claims.sub.is_none() && claims.sid.is_none() {
        return Err(LogoutTokenError::Nobody);
    }
    Ok(ProviderLogout { sub: claims.sub, sid: claims.sid, jti: claims.jti, expires })
}

/// Until when the token counts.
fn times(claims: &Claims, expected: &Expected<'_>) -> Result<UnixTime, LogoutTokenError> {
    let (now, skew) = (expected.now, expected.clock_skew);
    let iat = claims.iat.whole().ok_or(LogoutTokenError::Claims)?;
    if iat > now.saturating_add(skew) {
        return Err(LogoutTokenError::Future);
    }
    let expires = iat.saturating_add(MAX_AGE).saturating_add(skew);
    let exp = match claims.exp {
        Some(exp) => exp.whole().ok_or(LogoutTokenError::Claims)?.saturating_add(skew),
        None => expires,
    };
    if expires.min(exp) <= now { Err(LogoutTokenError::Expired) } else { Ok(expires.min(exp)) }
}
