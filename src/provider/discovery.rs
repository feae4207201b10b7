//! Provider metadata: OpenID Connect Discovery 1.0, section 4.

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
use super::json::{Ignored, Member};

/// How long metadata is cached.
const MAX_AGE: Duration = Duration::from_secs(3600);
/// How long a failure is cached, so that many concurrent sign-ins do not cause as many requests
/// to the provider.
const FAILURE_BACKOFF: Duration = Duration::from_secs(2);

/// Metadata with a verified issuer; [`discover`] alone creates it.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) userinfo_endpoint: Url,
    pub(crate) jwks_uri: Url,
    /// Where the provider ends its own session (OpenID Connect RP-Initiated Logout 1.0).
    pub(crate) end_session_endpoint: Option<Url>,
    /// Whether the provider tells of logouts (OpenID Connect Back-Channel Logout 1.0).
    pub(crate) backchannel_logout: bool,
    /// RFC 9207, section 3: whether every callback carries `iss`.
    pub(crate) iss_parameter: bool,
    /// Announced client authentication methods. huggingface.co accepts `none` without
    /// announcing it.
    pub(crate) basic: bool,
    pub(crate) post: bool,
}

/// The members that are used; others are ignored.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Url,
    token_endpoint: Url,
    userinfo_endpoint: Url,
    jwks_uri: Url,
    #[serde(default)]
    end_session_endpoint: Member<Url>,
    #[serde(default)]
    backchannel_logout_supported: Member<bool>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: Member<bool>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Member<Vec<Member<String>>>,
}

/// Why the provider's metadata cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DiscoveryError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the provider's metadata names the issuer {found:?}, but {expected:?} is configured")]
    Issuer { expected: String, found: String },
    #[error("the provider's metadata has an endpoint that is not https: {0}")]
    NotHttps(String),
}

impl DiscoveryError {
    /// Whether a later attempt may succeed.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_transient(),
            Self::Issuer { .. } | Self::NotHttps(_) => false,
        }
    }

    /// What the operator can do.
    pub(crate) fn advice(&self) -> &'static str {
        match self {
            Self::Fetch(error) => error.advice(),
            Self::Issuer { .. } => {
                "write provider.issuer as the metadata has it, if that is the provider you mean"
            }
            Self::NotHttps(_) => "the provider has to publish https addresses",
        }
    }
}

/// Fetches and validates the metadata.
async fn discover(http: &HttpClient, issuer: &Issuer) -> Result<Metadata, DiscoveryError> {
    // Section 4.1: the well-known path is appended to the issuer's path.
    let mut url = issuer.url.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", issuer.url.path().trim_end_matches('/')));
    let document: Document = http.get(&url, HeaderMap::new()).await?.ok()?.json()?;
    // Section 4.3: the issuers must be identical.
    if document.issuer != issuer.text {
        let found = document.issuer.chars().take(200).collect();
        return Err(DiscoveryError::Issuer { expected: issuer.text.clone(), found });
    }
    let mut ignored = Ignored::default();
    let end_session_endpoint = document.end_session_endpoint.or_ignore("end_session_endpoint", &mut ignored);
    let endpoints = [
        &document.authorization_endpoint,
        &document.token_endpoint,
        &document.userinfo_endpoint,
        &document.jwks_uri,
    ];
    for endpoint in endpoints.into_iter().chain(&end_session_endpoint) {
        let plain_is_fine =
            issuer.url.scheme() == "http" && endpoint.scheme() == "http" && is_loopback(endpoint);
        if endpoint.scheme() != "https" && !plain_is_fine {
            return Err(DiscoveryError::NotHttps(endpoint.as_str().chars().take(200).collect()));
        }
    }
    let methods = document
        .token_endpoint_auth_methods_supported
        .or_ignore("token_endpoint_auth_methods_supported", &mut ignored);
    let iss_parameter = document
        .authorization_response_iss_parameter_supported
        .or_ignore("authorization_response_iss_parameter_supported", &mut ignored);
    let backchannel_logout =
        document.backchannel_logout_supported.or_ignore("backchannel_logout_supported", &mut ignored);
    ignored.report("metadata");
    let announces = |name: &str| {
        let is_it = |method: &Member<String>| matches!(method, Member::Value(method) if method == name);
        methods.as_ref().is_some_and(|list| list.iter().any(is_it))
    };
    Ok(Metadata {
        // Section 3: the default is client_secret_basic.
        basic: methods.is_none() || announces("client_secret_basic"),
        post: announces("client_secret_post"),
        iss_parameter: iss_parameter.unwrap_or(false),
        authorization_endpoint: document.authorization_endpoint,
        token_endpoint: document.token_endpoint,
        userinfo_endpoint: document.userinfo_endpoint,
        jwks_uri: document.jwks_uri,
        end_session_endpoint,
        backchannel_logout: backchannel_logout.unwrap_or(false),
    })
}

/// Whether the provider responds, for the readiness endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reachability {
    Reachable,
    Unreachable,
    /// There was no request yet.
    Unknown,
}

/// The result of the last request.
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
    /// The cached result, unless it is stale.
    fn answer(&self, now: Instant) -> Option<Result<Arc<Metadata>, DiscoveryError>> {
        let age = now.saturating_duration_since(self.at);
        match (&self.failure, &self.metadata) {
            (None, Some(metadata)) if age < MAX_AGE => Some(Ok(Arc::clone(metadata))),
            // Metadata that could not be refreshed remains in use.
            (Some(_), Some(metadata)) if age < FAILURE_BACKOFF => Some(Ok(Arc::clone(metadata))),
            (Some(failure), None) if age < FAILURE_BACKOFF => Some(Err(failure.clone())),
            _ => None,
        }
    }
}

impl Cache {
    /// Returns the metadata. There is one request at a time, whose result all callers share.
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
                tracing::warn!(%failure, "loading the provider's metadata failed");
                let result = kept.as_ref().map(Arc::clone).ok_or_else(|| failure.clone());
                (result, Outcome { metadata: kept, failure: Some(failure), at: Instant::now() })
            }
        };
        self.last.store(Some(Arc::new(last)));
        result
    }

    /// The metadata that was loaded last, however old.
    pub(super) fn last(&self) -> Option<Arc<Metadata>> {
        self.last.load().as_ref().and_then(|last| last.metadata.clone())
    }

    pub(super) fn reachability(&self) -> Reachability {
        match &*self.last.load() {
            None => Reachability::Unknown,
            Some(last) if last.failure.is_some() => Reachability::Unreachable,
            Some(_) => Reachability::Reachable,
        }
    }
}
