//! Verification of the gate's assertion, as an app behind huggate should do it: the header
//! names the person, the signature proves that the gate wrote it.

use std::io;
use std::time::Duration;

use axum::http::HeaderMap;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long fetched keys are cached, as the gate allows.
const KEYS_MAX_AGE: Duration = Duration::from_secs(300);
/// Minimum time between two fetches for unknown keys.
const KEYS_REFETCH_INTERVAL: Duration = Duration::from_secs(5);
/// Maximum size of the JWKS.
const MAX_KEYS_BYTES: usize = 64 * 1024;

/// The result of verifying the assertion.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Signed by the gate, for this app, and not expired.
    Verified(Map<String, Value>),
    /// Present, but not valid.
    Invalid(String),
    /// Absent: nobody is signed in.
    Absent,
}

/// Verifies assertions of one gate.
#[derive(Debug)]
pub(super) struct Assertions {
    /// The JWKS URL.
    jwks_url: String,
    /// Expected algorithm and claims.
    expected: Validation,
    /// Fetches the keys.
    http: reqwest::Client,
    /// The keys and when they were fetched. Locked during a fetch, so that concurrent requests
    /// share it.
    keys: Mutex<Option<(Instant, JwkSet)>>,
}

impl Assertions {
    /// Verifies assertions of the gate at `public_url`.
    pub(super) fn new(public_url: &str) -> io::Result<Self> {
        // An installed provider is fine.
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let public_url = public_url.trim_end_matches('/');
        let mut expected = Validation::new(Algorithm::ES256);
        expected.set_issuer(&[public_url]);
        expected.set_audience(&[public_url]);
        expected.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        expected.validate_nbf = true;
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(5))
            // The gate is on this machine; proxies from the environment do not apply.
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        Ok(Self {
            jwks_url: format!("{public_url}/oauth2/jwks.json"),
            expected,
            http,
            keys: Mutex::default(),
        })
    }

    /// Verifies the assertion in `headers`.
    pub(super) async fn check(&self, headers: &HeaderMap) -> Verdict {
        let Some(token) = headers.get("x-huggate-assertion") else { return Verdict::Absent };
        self.verify(token.as_bytes()).await.map_or_else(Verdict::Invalid, Verdict::Verified)
    }

    /// The claims of `token`, if it is valid.
    async fn verify(&self, token: &[u8]) -> Result<Map<String, Value>, String> {
        let header =
            jsonwebtoken::decode_header(token).map_err(|error| format!("it is not a JWT: {error}"))?;
        let kid = header.kid.ok_or("it names no key")?;
        let key = self.key(&kid).await?;
        let token = jsonwebtoken::decode(token, &key, &self.expected).map_err(|error| error.to_string())?;
        Ok(token.claims)
    }

    /// The gate's key with the id `kid`.
    async fn key(&self, kid: &str) -> Result<DecodingKey, String> {
        let mut keys = self.keys.lock().await;
        if let Some((since, set)) = &*keys {
            let known = set.find(kid);
            if since.elapsed() < if known.is_some() { KEYS_MAX_AGE } else { KEYS_REFETCH_INTERVAL } {
                return decoding_key(known);
            }
        }
        let fetched =
            self.fetch().await.map_err(|error| format!("the gate's keys cannot be fetched: {error}"))?;
        let (_, set) = keys.insert((Instant::now(), fetched));
        decoding_key(set.find(kid))
    }

    /// Fetches the gate's keys.
    async fn fetch(&self) -> Result<JwkSet, String> {
        let words = |error: reqwest::Error| error.without_url().to_string();
        let mut response = self
            .http
            .get(&self.jwks_url)
            .send()
            .await
            .and_then(reqwest::Response::error_for_status)
            .map_err(words)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(words)? {
            if body.len() + chunk.len() > MAX_KEYS_BYTES {
                return Err(format!("more than {MAX_KEYS_BYTES} bytes"));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    }
}

/// Converts a JWK to a decoding key.
fn decoding_key(jwk: Option<&Jwk>) -> Result<DecodingKey, String> {
    let jwk = jwk.ok_or("the gate has no such key")?;
    DecodingKey::from_jwk(jwk).map_err(|error| format!("the gate's key cannot be used: {error}"))
}
