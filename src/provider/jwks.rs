//! The provider's JWKS (RFC 7517): caching and refetching.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::discovery::Metadata;
use super::http_client::{FetchError, HttpClient};
use super::json::Member;

/// How long keys are cached.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// How long it is remembered that a key id is not in the JWKS.
const UNKNOWN_FOR: Duration = Duration::from_secs(10);
/// How many fetches are possible at once, and how soon another one is. Tokens with made-up key
/// ids must not cause a fetch each, and must not keep a new key from being found for long.
const BUDGET: u32 = 5;
const REFILL: Duration = Duration::from_secs(12);
/// Maximum number of keys that are read.
const MAX_KEYS: usize = 32;

/// Keys that can verify an ID token; symmetric ones are excluded.
#[derive(Debug)]
pub(super) struct Keys {
    keys: Vec<Jwk>,
    at: Instant,
}

impl Keys {
    /// The keys to try for a token: the one it names, or all if it names none. The provider's
    /// ID tokens may lack a `kid`.
    pub(super) fn candidates<'a>(&'a self, kid: Option<&'a str>) -> impl Iterator<Item = &'a Jwk> {
        self.keys.iter().filter(move |key| kid.is_none() || key.common.key_id.as_deref() == kid)
    }

    fn knows(&self, kid: Option<&str>) -> bool {
        self.candidates(kid).next().is_some()
    }
}

/// Why there is no key for a token.
#[derive(Debug)]
pub(super) enum JwksError {
    Fetch(FetchError),
    /// The JWKS has no key with that id.
    UnknownKey,
    /// The JWKS could not be fetched a moment ago.
    KeysUnavailable,
}

#[derive(Default)]
pub(super) struct Cache {
    keys: ArcSwapOption<Keys>,
    /// Held during a fetch.
    fetches: Mutex<Fetches>,
}

/// The fetches so far.
#[derive(Default)]
struct Fetches {
    /// When the whole budget is available again (the generic cell rate algorithm).
    full_at: Option<Instant>,
    /// Key ids that were not in the JWKS, and when it was fetched. The budget bounds the list.
    unknown: Vec<(Option<String>, Instant)>,
}

impl Fetches {
    /// Whether the JWKS may be fetched for a token with this `kid`.
    fn allow(&mut self, kid: Option<&str>) -> bool {
        self.unknown.retain(|(_, at)| at.elapsed() < UNKNOWN_FOR);
        let is_unknown = self.unknown.iter().any(|(unknown, _)| unknown.as_deref() == kid);
        let missing = self.full_at.map(|at| at.saturating_duration_since(Instant::now()));
        !is_unknown && missing.is_none_or(|missing| missing <= REFILL * (BUDGET - 1))
    }

    /// Counts a fetch that has ended: a cancelled request must not make the next one wait.
    fn count(&mut self) {
        let now = Instant::now();
        self.full_at = Some(self.full_at.map_or(now, |at| at.max(now)) + REFILL);
    }
}

impl Cache {
    /// Keys for a token with this `kid`: cached, or after one fetch.
    pub(super) async fn for_token(
        &self,
        http: &HttpClient,
        metadata: &Metadata,
        kid: Option<&str>,
    ) -> Result<Arc<Keys>, JwksError> {
        if let Some(keys) = self.usable(kid) {
            return Ok(keys);
        }
        let mut fetches = self.fetches.lock().await;
        if let Some(keys) = self.usable(kid) {
            return Ok(keys);
        }
        if !fetches.allow(kid) {
            // Stale keys that include the token's key are still used.
            return match self.keys.load_full() {
                Some(keys) if keys.knows(kid) => Ok(keys),
                Some(_) => Err(JwksError::UnknownKey),
                None => Err(JwksError::KeysUnavailable),
            };
        }
        match self.fetch(http, metadata, &mut fetches).await {
            Ok(keys) if keys.knows(kid) => Ok(keys),
            Ok(_) => {
                fetches.unknown.push((kid.map(str::to_owned), Instant::now()));
                Err(JwksError::UnknownKey)
            }
            Err(error) => match self.keys.load_full() {
                Some(keys) if keys.knows(kid) => Ok(keys),
                Some(_) | None => Err(JwksError::Fetch(error)),
            },
        }
    }

    /// Newer keys than `tried`, none of which verified a token without a `kid`: the provider may
    /// have replaced them.
    pub(super) async fn newer_than(
        &self,
        http: &HttpClient,
        metadata: &Metadata,
        tried: &Arc<Keys>,
    ) -> Option<Arc<Keys>> {
        let mut fetches = self.fetches.lock().await;
        if let Some(keys) = self.keys.load_full().filter(|keys| !Arc::ptr_eq(keys, tried)) {
            return Some(keys);
        }
        if !fetches.allow(None) {
            return None;
        }
        let keys = self.fetch(http, metadata, &mut fetches).await.ok()?;
        fetches.unknown.push((None, Instant::now()));
        Some(keys)
    }

    async fn fetch(
        &self,
        http: &HttpClient,
        metadata: &Metadata,
        fetches: &mut Fetches,
    ) -> Result<Arc<Keys>, FetchError> {
        let fetched = fetch(http, metadata).await;
        fetches.count();
        let keys = Arc::new(fetched?);
        self.keys.store(Some(Arc::clone(&keys)));
        Ok(keys)
    }

    /// Keys that can be used for a token with this `kid` without a request.
    pub(super) fn usable(&self, kid: Option<&str>) -> Option<Arc<Keys>> {
        self.keys.load_full().filter(|keys| keys.at.elapsed() < MAX_AGE && keys.knows(kid))
    }
}

async fn fetch(http: &HttpClient, metadata: &Metadata) -> Result<Keys, FetchError> {
    let set: KeySet = http.get(&metadata.jwks_uri, HeaderMap::new()).await?.ok()?.json()?;
    Ok(Keys { keys: set.usable(), at: Instant::now() })
}

/// RFC 7517, section 5: keys of unknown types, and keys that cannot be read, are ignored.
#[derive(Deserialize)]
pub(super) struct KeySet {
    pub(super) keys: Vec<Member<Jwk>>,
}

impl KeySet {
    pub(super) fn usable(self) -> Vec<Jwk> {
        let all = self.keys.len();
        let keys = self.keys.into_iter().filter_map(|key| match key {
            Member::Value(key) => Some(key).filter(can_verify),
            Member::Absent | Member::Malformed => None,
        });
        let keys: Vec<Jwk> = keys.take(MAX_KEYS).collect();
        if keys.len() < all {
            tracing::debug!(usable = keys.len(), all, "some of the provider's keys cannot verify ID tokens");
        }
        keys
    }
}

/// `kty: oct` would turn a public document into an HMAC secret; a key for encryption must not
/// verify signatures (RFC 7517, section 4.2).
pub(super) fn can_verify(key: &Jwk) -> bool {
    let asymmetric = matches!(
        key.algorithm,
        AlgorithmParameters::RSA(_)
            | AlgorithmParameters::EllipticCurve(_)
            | AlgorithmParameters::OctetKeyPair(_)
    );
    let for_signatures = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    asymmetric && for_signatures
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symmetric_and_encryption_keys_are_excluded() {
        let set: KeySet = serde_json::from_str(
            r#"{"keys":[
                null, 7, {}, {"kty":7}, {"kty":"RSA","n":["AQAB"],"e":"AQAB"}, {"kty":"RSA","alg":7,"n":"AQAB","e":"AQAB"},
                {"kty":"oct","k":"c2VjcmV0"},
                {"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"},
                {"kty":"RSA","use":"sig","n":"AQAB","e":"AQAB","kid":"good"},
                {"kty":"RSA","n":"AQAB","e":"AQAB"},
                {"kty":"made-up"}
            ]}"#,
        )
        .unwrap();
        let taken = set.usable();
        assert_eq!(taken.len(), 2);
        assert_eq!(taken[0].common.key_id.as_deref(), Some("good"));
    }
}
