//! The issuer identifier, and URLs derived from it.

#[cfg(feature = "testing")]
use std::sync::Arc;

use url::{Host, Url};

#[cfg(feature = "testing")]
use super::in_process::{InProcess, InProcessProvider};

/// The provider's issuer identifier: an https URL, or an http URL on loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    pub(super) text: String,
    pub(super) url: Url,
    /// Who answers there, if it is not reached by the network.
    #[cfg(feature = "testing")]
    pub(super) in_process: Option<InProcessProvider>,
}

/// Why a string is not a valid issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// Not a URL with a host.
    #[error("is not a URL")]
    NotAUrl,
    /// `http` to a host that is not loopback.
    #[error("must be https; with http, anybody on the network could impersonate the provider")]
    NotHttps,
    /// It has user information, a query or a fragment.
    #[error("must not have a user name, a query or a fragment")]
    ExtraParts,
}

impl Issuer {
    /// Parses an issuer; trailing slashes are removed.
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
            return Err(IssuerError::ExtraParts);
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            return Err(IssuerError::NotHttps);
        }
        Ok(Self {
            text: text.to_owned(),
            url,
            #[cfg(feature = "testing")]
            in_process: None,
        })
    }

    /// The same issuer, whose requests `provider` answers instead of the network.
    #[cfg(feature = "testing")]
    pub(crate) fn answered_by(self, provider: Arc<dyn InProcess>) -> Self {
        Self { in_process: Some(InProcessProvider(provider)), ..self }
    }

    /// Who answers in this process.
    #[cfg(feature = "testing")]
    pub(crate) fn in_process(&self) -> Option<&Arc<dyn InProcess>> {
        self.in_process.as_ref().map(|provider| &provider.0)
    }

    /// Without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The settings page with the connected applications.
    pub(crate) fn connected_applications(&self) -> String {
        format!("{}/settings/connected-applications", self.text)
    }

    /// The settings page with the access tokens.
    pub(crate) fn access_tokens(&self) -> String {
        format!("{}/settings/tokens", self.text)
    }

    /// The page of an organisation.
    pub(crate) fn organisation(&self, slug: &str) -> String {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(slug);
        }
        url.to_string()
    }

    /// The whoami endpoint, which is not part of the metadata.
    pub(super) fn whoami(&self) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/api/whoami-v2", self.url.path().trim_end_matches('/')));
        url
    }
}

/// Whether a URL's host is loopback. `localhost` is the only accepted name: any other could
/// resolve to another machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_https_or_loopback() {
        for text in
            ["https://huggingface.co", "https://huggingface.co/", "http://localhost:1", "http://[::1]:1"]
        {
            assert!(Issuer::parse(text).is_ok(), "{text}");
        }
        for (text, error) in [
            ("http://huggingface.co", IssuerError::NotHttps),
            ("http://localhost.evil.example", IssuerError::NotHttps),
            ("http://127.0.0.1.evil.example", IssuerError::NotHttps),
            ("huggingface.co", IssuerError::NotAUrl),
            ("ftp://huggingface.co", IssuerError::NotAUrl),
            ("https://huggingface.co?x", IssuerError::ExtraParts),
            ("https://me@huggingface.co", IssuerError::ExtraParts),
            ("https://:password@huggingface.co", IssuerError::ExtraParts),
        ] {
            assert_eq!(Issuer::parse(text), Err(error), "{text}");
        }
    }
}
