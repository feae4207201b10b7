//! The provider's JWKS (RFC 7517): caching and refetching.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::discovery::Metadata;
use super::http_client::{FetchError, HttpClient};

/// How long keys are cached.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// Minimum time between two fetches: tokens with unknown key ids must not cause a fetch each.
const REFETCH_INTERVAL: Duration = Duration::from_secs(10);
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
    /// Time of the last fetch, successful or not.
    asked: Mutex<Option<Instant>>,
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
        let mut asked = self.asked.lock().await;
        if let Some(keys) = self.usable(kid) {
            return Ok(keys);
        }
        if asked.is_some_and(|at| at.elapsed() < REFETCH_INTERVAL) {
            // Stale keys that include the token's key are still used.
            return match self.keys.load_full() {
                Some(keys) if keys.knows(kid) => Ok(keys),
                Some(_) => Err(JwksError::UnknownKey),
                None => Err(JwksError::KeysUnavailable),
            };
        }
        let fetched = fetch(http, metadata).await;
        // Only after the fetch: a cancelled request must not make the next one wait for the
        // interval.
        *asked = Some(Instant::now());
        match fetched {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.keys.store(Some(Arc::clone(&keys)));
                if keys.knows(kid) { Ok(keys) } else { Err(JwksError::UnknownKey) }
            }
            Err(error) => match self.keys.load_full() {
                Some(keys) if keys.knows(kid) => Ok(keys),
                Some(_) | None => Err(JwksError::Fetch(error)),
            },
        }
    }

    fn usable(&self, kid: Option<&str>) -> Option<Arc<Keys>> {
        self.keys.load_full().filter(|keys| keys.at.elapsed() < MAX_AGE && keys.knows(kid))
    }
}

async fn fetch(http: &HttpClient, metadata: &Metadata) -> Result<Keys, FetchError> {
    let set: JwkSet = http.get(&metadata.jwks_uri, HeaderMap::new()).await?.ok()?.json()?;
    let keys = set.keys.into_iter().take(MAX_KEYS).filter(can_verify).collect();
    Ok(Keys { keys, at: Instant::now() })
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
        let set: JwkSet = serde_json::from_str(
            r#"{"keys":[
                {"kty":"oct","k":"c2VjcmV0"},
                {"kty":"RSA","use":"enc","n":"AQAB","e":"AQAB"},
                {"kty":"RSA","use":"sig","n":"AQAB","e":"AQAB","kid":"good"},
                {"kty":"RSA","n":"AQAB","e":"AQAB"},
                {"kty":"made-up"}
            ]}"#,
        )
        .unwrap();
        let taken: Vec<_> = set.keys.iter().filter(|key| can_verify(key)).collect();
        assert_eq!(taken.len(), 2);
        assert_eq!(taken[0].common.key_id.as_deref(), Some("good"));
    }
}
