//! The public URL of the app.

#[cfg(feature = "config")]
use url::Host;
use url::Url;

use super::host::name_and_port;

/// The public URL: an origin that determines the callback URL, the attributes of cookies
/// and the assertion's issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    /// Host and port in lower case, without the scheme's default port.
    authority: String,
    https: bool,
}

/// Why a text is not a public URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicUrlError {
    /// Not an http or https URL.
    #[error("is not an http or https URL")]
    NotAUrl,
    /// It has more parts than scheme, host and port.
    #[error("must be scheme, host and port alone, as in https://app.example.com")]
    NotAnOrigin,
}

impl PublicUrl {
    /// Parses `https://app.example.com`, with or without a trailing slash.
    ///
    /// ```
    /// use huggate::PublicUrl;
    ///
    /// assert_eq!(PublicUrl::parse("https://App.Example.com/").unwrap().as_str(), "https://app.example.com");
    /// assert!(PublicUrl::parse("https://app.example.com/path").is_err());
    /// ```
    ///
    /// # Errors
    /// See [`PublicUrlError`].
    pub fn parse(text: &str) -> Result<Self, PublicUrlError> {
        let url = Url::parse(text).map_err(|_| PublicUrlError::NotAUrl)?;
        let https = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(PublicUrlError::NotAUrl),
        };
        let plain = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !plain {
            return Err(PublicUrlError::NotAnOrigin);
        }
        let origin = url.origin().ascii_serialization();
        let (_, authority) = origin.split_once("://").ok_or(PublicUrlError::NotAUrl)?;
        Ok(Self { authority: authority.to_owned(), https, origin })
    }

    /// Scheme, host and port, without a trailing slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// Host and port, without the scheme's default port.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The port, if it is not the scheme's default one.
    #[must_use]
    pub fn port(&self) -> Option<&str> {
        name_and_port(&self.authority).1
    }

    /// Whether the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether the host is a loopback host.
    #[cfg(feature = "config")]
    pub(crate) fn is_loopback(&self) -> bool {
        let url = Url::parse(&self.origin);
        match url.as_ref().ok().and_then(Url::host) {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        }
    }

    /// The origin of another host with the same scheme.
    pub(crate) fn sibling(&self, authority: &str) -> String {
        format!("{}://{authority}", if self.https { "https" } else { "http" })
    }
}
