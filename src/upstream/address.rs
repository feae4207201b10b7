//! The address of an upstream.

use std::fmt;

use url::Url;

/// Where an app listens: `http://127.0.0.1:7860`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    /// `host:port`, ready to connect to.
    pub(super) authority: String,
    /// The host alone, for TLS.
    pub(super) host: String,
    pub(super) https: bool,
}

/// Why a text is no upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamUrlError {
    /// Not an http or https URL.
    #[error("is not an http or https URL, as in http://127.0.0.1:7860")]
    NotAUrl,
    /// A path, a query or a user name.
    #[error("must be scheme, host and port alone: requests keep the path they came with")]
    NotAnOrigin,
}

impl UpstreamUrl {
    /// Reads `http://host:port` or `https://host:port`.
    ///
    /// # Errors
    /// See [`UpstreamUrlError`].
    pub fn parse(text: &str) -> Result<Self, UpstreamUrlError> {
        let url = Url::parse(text).map_err(|_| UpstreamUrlError::NotAUrl)?;
        let https = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(UpstreamUrlError::NotAUrl),
        };
        let plain = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !plain {
            return Err(UpstreamUrlError::NotAnOrigin);
        }
        let host = url.host_str().ok_or(UpstreamUrlError::NotAUrl)?;
        let port = url.port_or_known_default().ok_or(UpstreamUrlError::NotAUrl)?;
        Ok(Self {
            authority: format!("{host}:{port}"),
            host: host.trim_matches(['[', ']']).to_owned(),
            https,
        })
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }
}
