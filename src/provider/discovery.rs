//! OpenID Connect Discovery 1.0, section 4: what the provider says of itself.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::http_client::{FetchError, HttpClient};
use super::issuer::{Issuer, is_loopback};

/// How long metadata is used before it is asked for again.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// How long a failure answers for the next question, so that a crowd at the
/// door does not become a crowd at the provider's.
const FAILURE_BACKOFF: Duration = Duration::from_secs(2);

/// Metadata whose issuer was checked; there is no other way to get one.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) userinfo_endpoint: Url,
    pub(crate) jwks_uri: Url,
    /// RFC 9207, section 3: every callback then carries `iss`.
    pub(crate) iss_parameter: bool,
    /// The announced ways to authenticate at the token endpoint. The list is not
    /// to be trusted for `none`, which works without being announced.
    pub(crate) basic: bool,
    pub(crate) post: bool,
}

/// The members that matter; all others are passed over.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    userinfo_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// Why the provider's metadata cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiscoveryError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the provider calls itself {found:?}, but the configuration says {expected:?}")]
    Issuer { expected: String, found: String },
    #[error("the provider announces an endpoint that is not https: {0}")]
    NotHttps(String),
}

impl DiscoveryError {
    /// Whether it may be over in a moment.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_transient(),
            Self::Issuer { .. } | Self::NotHttps(_) => false,
        }
    }
}

/// Asks for the metadata and checks it.
async fn discover(http: &HttpClient, issuer: &Issuer) -> Result<Metadata, DiscoveryError> {
    // Section 4.1: the path is appended to the issuer, whatever path that has.
    let mut url = issuer.url.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", issuer.url.path().trim_end_matches('/')));
    let document: Document = http.get(&url, HeaderMap::new()).await?.ok()?.json()?;
    // Section 4.3: exactly the same, as the ID token's will have to be.
    if document.issuer != issuer.text {
        let found = document.issuer.chars().take(200).collect();
        return Err(DiscoveryError::Issuer { expected: issuer.text.clone(), found });
    }
    let endpoints = [
        &document.authorization_endpoint,
        &document.token_endpoint,
        &document.userinfo_endpoint,
        &document.jwks_uri,
    ];
    for endpoint in endpoints {
        let plain_is_fine =
            issuer.url.scheme() == "http" && endpoint.scheme() == "http" && is_loopback(endpoint);
        if endpoint.scheme() != "https" && !plain_is_fine {
            return Err(DiscoveryError::NotHttps(endpoint.as_str().chars().take(200).collect()));
        }
    }
    let methods = document.token_endpoint_auth_methods_supported;
    let announces =
        |name: &str| methods.as_ref().is_some_and(|list| list.iter().any(|method| method == name));
    Ok(Metadata {
        // Section 3: without the list, basic is what is meant.
        basic: methods.is_none() || announces("client_secret_basic"),
        post: announces("client_secret_post"),
        iss_parameter: document.authorization_response_iss_parameter_supported,
        authorization_endpoint: document.authorization_endpoint,
        token_endpoint: document.token_endpoint,
        userinfo_endpoint: document.userinfo_endpoint,
        jwks_uri: document.jwks_uri,
    })
}

/// What the provider says of itself at the moment, for readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reachability {
    Reachable,
    Unreachable,
    /// Nothing has been asked yet.
    Unknown,
}

/// The last answer, good or bad.
#[derive(Default)]
pub(super) struct Cache {
    last: ArcSwapOption<Outcome>,
    in_flight: Mutex<()>,
}

struct Outcome {
    metadata: Option<Arc<Metadata>>,
    failure: Option<DiscoveryError>,
    at: Instant,
}

impl Outcome {
    /// The answer, if it still speaks for `now`.
    fn answer(&self, now: Instant) -> Option<Result<Arc<Metadata>, DiscoveryError>> {
        let age = now.saturating_duration_since(self.at);
        match (&self.failure, &self.metadata) {
            (None, Some(metadata)) if age < MAX_AGE => Some(Ok(Arc::clone(metadata))),
            // Metadata that could not be asked for again still holds.
            (Some(_), Some(metadata)) if age < FAILURE_BACKOFF => Some(Ok(Arc::clone(metadata))),
            (Some(failure), None) if age < FAILURE_BACKOFF => Some(Err(failure.clone())),
            _ => None,
        }
    }
}

impl Cache {
    /// The metadata; one question at a time, whose answer serves all who wait.
    pub(super) async fn load(
        &self,
        http: &HttpClient,
        issuer: &Issuer,
        now: Instant,
    ) -> Result<Arc<Metadata>, DiscoveryError> {
        if let Some(answer) = self.last.load().as_ref().and_then(|last| last.answer(now)) {
            return answer;
        }
        let _one_at_a_time = self.in_flight.lock().await;
        let before = self.last.load_full();
        if let Some(answer) = before.as_ref().and_then(|last| last.answer(now)) {
            return answer;
        }
        let kept = before.and_then(|last| last.metadata.clone());
        let (result, last) = match discover(http, issuer).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                let last =
                    Outcome { metadata: Some(Arc::clone(&metadata)), failure: None, at: Instant::now() };
                (Ok(metadata), last)
            }
            Err(failure) => {
                tracing::warn!(%failure, "the provider's metadata could not be loaded");
                let result = kept.as_ref().map(Arc::clone).ok_or_else(|| failure.clone());
                (result, Outcome { metadata: kept, failure: Some(failure), at: Instant::now() })
            }
        };
        self.last.store(Some(Arc::new(last)));
        result
    }

    pub(super) fn reachability(&self) -> Reachability {
        match &*self.last.load() {
            None => Reachability::Unknown,
            Some(last) if last.failure.is_some() => Reachability::Unreachable,
            Some(_) => Reachability::Reachable,
        }
    }
}
