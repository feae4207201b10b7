//! Checking the gate's signed word, as any app behind it should: the header
//! says who, the signature says that it was the gate who said so.

use std::io;
use std::time::Duration;

use axum::http::HeaderMap;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long fetched keys are good for; what the gate says of them, too.
const KEYS_MAX_AGE: Duration = Duration::from_secs(300);
/// How soon an unknown key may cause another look.
const KEYS_REFETCH_INTERVAL: Duration = Duration::from_secs(5);
/// More than this is not a list of a few keys.
const MAX_KEYS_BYTES: usize = 64 * 1024;

/// What came of looking at the assertion.
#[derive(Debug)]
pub(super) enum Verdict {
    /// The gate signed it, for this app, and it has not run out.
    Verified(Map<String, Value>),
    /// There is one, and it must not be believed.
    Invalid(String),
    /// There is none: nobody is signed in.
    Absent,
}

/// The gate's keys, and what an assertion must say.
#[derive(Debug)]
pub(super) struct Assertions {
    /// Where the keys are.
    jwks_url: String,
    /// Who must have signed, for whom, and how.
    expected: Validation,
    /// Asks for the keys.
    http: reqwest::Client,
    /// The keys and when they came. Held while fetching, so that ten requests
    /// at once are one fetch.
    keys: Mutex<Option<(Instant, JwkSet)>>,
}

impl Assertions {
    /// Believes the gate at `public_url` and nobody else.
    pub(super) fn new(public_url: &str) -> io::Result<Self> {
        // Already installed is as good.
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
            // The gate is a neighbour; no proxy stands between.
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

    /// Looks at the assertion among `headers`.
    pub(super) async fn check(&self, headers: &HeaderMap) -> Verdict {
        let Some(token) = headers.get("x-huggate-assertion") else { return Verdict::Absent };
        self.verify(token.as_bytes()).await.map_or_else(Verdict::Invalid, Verdict::Verified)
    }

    /// The claims of `token`, if it is what it should be.
    async fn verify(&self, token: &[u8]) -> Result<Map<String, Value>, String> {
        let header = jsonwebtoken::decode_header(token).map_err(|error| format!("it is no JWT: {error}"))?;
        let kid = header.kid.ok_or("it names no key")?;
        let key = self.key(&kid).await?;
        let token = jsonwebtoken::decode(token, &key, &self.expected).map_err(|error| error.to_string())?;
        Ok(token.claims)
    }

    /// The gate's key called `kid`.
    async fn key(&self, kid: &str) -> Result<DecodingKey, String> {
        let mut keys = self.keys.lock().await;
        if let Some((since, set)) = &*keys {
            let known = set.find(kid);
            if since.elapsed() < if known.is_some() { KEYS_MAX_AGE } else { KEYS_REFETCH_INTERVAL } {
                return decoding_key(known);
            }
        }
        let fetched =
            self.fetch().await.map_err(|error| format!("the gate's keys cannot be read: {error}"))?;
        let (_, set) = keys.insert((Instant::now(), fetched));
        decoding_key(set.find(kid))
    }

    /// Asks the gate for its keys.
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

/// A key as the verifier wants it.
fn decoding_key(jwk: Option<&Jwk>) -> Result<DecodingKey, String> {
    let jwk = jwk.ok_or("the gate has no such key")?;
    DecodingKey::from_jwk(jwk).map_err(|error| format!("the gate's key cannot be used: {error}"))
}
