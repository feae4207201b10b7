//! OpenID Connect Discovery 1.0, section 4: what the provider says of itself.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderMap;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::{Host, Url};

use super::Reachable;
use super::http_client::{FetchError, HttpClient};

/// How long metadata is used before it is asked for again.
const FRESH: Duration = Duration::from_secs(3600);
/// How long a failure answers for the next question, so that a crowd at the
/// door does not become a crowd at the provider's.
const BACK_OFF: Duration = Duration::from_secs(2);

/// The provider's issuer identifier: an https URL, or an http one on loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    text: String,
    url: Url,
}

/// Why a text is no issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// Not a URL with a host.
    #[error("is not a URL")]
    NotAUrl,
    /// `http` to a host that is not this machine.
    #[error("must be https: over http anybody on the way could answer in the provider's place")]
    Plain,
    /// A query, a fragment or a user name.
    #[error("must be a plain URL, without user name, query or fragment")]
    Decorated,
}

impl Issuer {
    /// Reads an issuer; a trailing slash is dropped.
    ///
    /// ```
    /// use huggate::provider::Issuer;
    ///
    /// assert!(Issuer::parse("https://huggingface.co").is_ok());
    /// assert!(Issuer::parse("http://huggingface.co").is_err());
    /// assert!(Issuer::parse("http://127.0.0.1:4182").is_ok());
    /// ```
    ///
    /// # Errors
    /// See [`IssuerError`].
    pub fn parse(text: &str) -> Result<Self, IssuerError> {
        let text = text.trim_end_matches('/');
        let url = Url::parse(text).map_err(|_| IssuerError::NotAUrl)?;
        if url.host().is_none() || !matches!(url.scheme(), "http" | "https") {
            return Err(IssuerError::NotAUrl);
        }
        if url.query().is_some()
            || url.fragment().is_some()
            || !url.username().is_empty()
            || url.password().is_some()
        {
            return Err(IssuerError::Decorated);
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(IssuerError::Plain);
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// Without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The provider's page where people see and disconnect the apps they let in.
    pub(crate) fn connected_applications(&self) -> String {
        format!("{}/settings/connected-applications", self.text)
    }

    /// The provider's page where people make and change their access tokens.
    pub(crate) fn access_tokens(&self) -> String {
        format!("{}/settings/tokens", self.text)
    }

    /// The provider's page of an organisation.
    pub(crate) fn organisation(&self, slug: &str) -> String {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(slug);
        }
        url.to_string()
    }

    /// Where the owner of a token is asked for. No metadata names it.
    pub(super) fn whoami(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/api/whoami-v2", self.url.path().trim_end_matches('/')));
        url
    }
}

/// Whether a URL's host is this machine. A name is only `localhost`: any other
/// could come to mean another machine.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

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
    Plain(String),
}

impl DiscoveryError {
    /// Whether it may be over in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Fetch(error) => error.is_passing(),
            Self::Issuer { .. } | Self::Plain(_) => false,
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
            return Err(DiscoveryError::Plain(endpoint.as_str().chars().take(200).collect()));
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

/// The last answer, good or bad.
#[derive(Default)]
pub(super) struct Cache {
    last: ArcSwapOption<Last>,
    asking: Mutex<()>,
}

struct Last {
    metadata: Option<Arc<Metadata>>,
    failure: Option<DiscoveryError>,
    at: Instant,
}

impl Last {
    /// The answer, if it still speaks for `now`.
    fn answer(&self, now: Instant) -> Option<Result<Arc<Metadata>, DiscoveryError>> {
        let age = now.saturating_duration_since(self.at);
        match (&self.failure, &self.metadata) {
            (None, Some(metadata)) if age < FRESH => Some(Ok(Arc::clone(metadata))),
            // Metadata that could not be asked for again still holds.
            (Some(_), Some(metadata)) if age < BACK_OFF => Some(Ok(Arc::clone(metadata))),
            (Some(failure), None) if age < BACK_OFF => Some(Err(failure.clone())),
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
        let _one_at_a_time = self.asking.lock().await;
        let before = self.last.load_full();
        if let Some(answer) = before.as_ref().and_then(|last| last.answer(now)) {
            return answer;
        }
        let kept = before.and_then(|last| last.metadata.clone());
        let (result, last) = match discover(http, issuer).await {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                let last = Last { metadata: Some(Arc::clone(&metadata)), failure: None, at: Instant::now() };
                (Ok(metadata), last)
            }
            Err(failure) => {
                tracing::warn!(%failure, "the provider's metadata could not be loaded");
                let result = kept.as_ref().map(Arc::clone).ok_or_else(|| failure.clone());
                (result, Last { metadata: kept, failure: Some(failure), at: Instant::now() })
            }
        };
        self.last.store(Some(Arc::new(last)));
        result
    }

    pub(super) fn reachable(&self) -> Reachable {
        match &*self.last.load() {
            None => Reachable::NotAskedYet,
            Some(last) if last.failure.is_some() => Reachable::No,
            Some(_) => Reachable::Yes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_https_or_this_machine() {
        for text in
            ["https://huggingface.co", "https://huggingface.co/", "http://localhost:1", "http://[::1]:1"]
        {
            assert!(Issuer::parse(text).is_ok(), "{text}");
        }
        for (text, error) in [
            ("http://huggingface.co", IssuerError::Plain),
            ("http://localhost.evil.example", IssuerError::Plain),
            ("http://127.0.0.1.evil.example", IssuerError::Plain),
            ("huggingface.co", IssuerError::NotAUrl),
            ("ftp://huggingface.co", IssuerError::NotAUrl),
            ("https://huggingface.co?x", IssuerError::Decorated),
            ("https://me@huggingface.co", IssuerError::Decorated),
            ("https://:password@huggingface.co", IssuerError::Decorated),
        ] {
            assert_eq!(Issuer::parse(text), Err(error), "{text}");
        }
    }
}
