//! The address people type.

#[cfg(feature = "config")]
use url::Host;
use url::Url;

/// The public URL: an origin, from which the callback URL, the cookies'
/// attributes and the assertion's issuer follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    origin: String,
    /// Host, and port unless it is the scheme's own; lower case.
    authority: String,
    https: bool,
}

/// Why a text is no public URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicUrlError {
    /// Not an http or https URL.
    #[error("is not an http or https URL")]
    NotAUrl,
    /// More than scheme, host and port.
    #[error("must be scheme, host and port alone, as in https://app.example.com")]
    NotAnOrigin,
}

impl PublicUrl {
    /// Reads `https://app.example.com`, with or without a slash at the end.
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

    /// Scheme, host and port, without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.origin
    }

    /// Host, and port unless it is the scheme's own.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether the scheme is https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether the host is this machine.
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

    /// The origin of another host that is reached the same way.
    pub(crate) fn sibling(&self, authority: &str) -> String {
        format!("{}://{authority}", if self.https { "https" } else { "http" })
    }
}
