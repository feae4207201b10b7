//! Upstream URLs.

use std::fmt;
use std::path::PathBuf;

use url::Url;

/// The address of an app: `http://127.0.0.1:7860`, `https://app.internal`,
/// `h2c://127.0.0.1:50051` or `unix:/run/app.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    /// `host:port`, to connect to, and the `Host` of requests that came without one.
    pub(super) authority: String,
    /// The host alone, for TLS.
    pub(super) host: String,
    pub(super) scheme: Scheme,
}

/// How to connect, and with which version of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
    /// HTTP/2 without TLS, with prior knowledge (RFC 9113, section 3.3).
    H2c,
    /// HTTP/1.1 over a unix socket.
    Unix(PathBuf),
}

/// Why a text is not an upstream URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamUrlError {
    /// It is not a URL with a supported scheme.
    #[error(
        "is not an http, https or h2c URL, as in http://127.0.0.1:7860, or a socket, as in unix:/run/app.sock"
    )]
    NotAUrl,
    /// It has a path, a query or a user name.
    #[error("must be scheme, host and port alone: requests keep the path they came with")]
    NotAnOrigin,
    /// The path of a unix socket is not absolute.
    #[error("is not a socket's whole path; begin it with a slash, as in unix:/run/app.sock")]
    NotAbsolute,
}

impl UpstreamUrl {
    /// Parses `http://host:port`, `https://host:port`, `h2c://host:port` or
    /// `unix:/path`.
    ///
    /// # Errors
    /// See [`UpstreamUrlError`].
    pub fn parse(text: &str) -> Result<Self, UpstreamUrlError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Self::socket(path);
        }
        // The URL parser normalizes hosts only for schemes that it knows.
        let (url, scheme) = match text.strip_prefix("h2c://") {
            Some(rest) => (Url::parse(&format!("http://{rest}")), Some(Scheme::H2c)),
            None => (Url::parse(text), None),
        };
        let url = url.map_err(|_| UpstreamUrlError::NotAUrl)?;
        let scheme = match (scheme, url.scheme()) {
            (Some(scheme), _) => scheme,
            (None, "http") => Scheme::Http,
            (None, "https") => Scheme::Https,
            (None, _) => return Err(UpstreamUrlError::NotAUrl),
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
            scheme,
        })
    }

    fn socket(path: &str) -> Result<Self, UpstreamUrlError> {
        // Some programs write `unix:///run/app.sock`.
        let path = if path.starts_with("///") { path.trim_start_matches("//") } else { path };
        if !path.starts_with('/') || path.starts_with("//") || path.len() < 2 {
            return Err(UpstreamUrlError::NotAbsolute);
        }
        Ok(Self {
            authority: "localhost".to_owned(),
            host: "localhost".to_owned(),
            scheme: Scheme::Unix(PathBuf::from(path)),
        })
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == Scheme::Https
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scheme {
            Scheme::Http => write!(f, "http://{}", self.authority),
            Scheme::Https => write!(f, "https://{}", self.authority),
            Scheme::H2c => write!(f, "h2c://{}", self.authority),
            Scheme::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_parsed_and_displayed() {
        for (text, shown) in [
            ("http://127.0.0.1:7860", "http://127.0.0.1:7860"),
            ("HTTP://App:80/", "http://app:80"),
            ("https://[::1]", "https://[::1]:443"),
            ("h2c://localhost:50051", "h2c://localhost:50051"),
            ("h2c://localhost", "h2c://localhost:80"),
            ("unix:/run/app.sock", "unix:/run/app.sock"),
            ("unix:///run/app.sock", "unix:/run/app.sock"),
        ] {
            assert_eq!(UpstreamUrl::parse(text).unwrap().to_string(), shown);
        }
    }

    #[test]
    fn invalid_urls_are_rejected() {
        for (text, expected) in [
            ("ftp://x", UpstreamUrlError::NotAUrl),
            ("127.0.0.1:7860", UpstreamUrlError::NotAUrl),
            ("h2c:x", UpstreamUrlError::NotAUrl),
            ("http://x/app", UpstreamUrlError::NotAnOrigin),
            ("h2c://me@x", UpstreamUrlError::NotAnOrigin),
            ("unix:run/app.sock", UpstreamUrlError::NotAbsolute),
            ("unix://run/app.sock", UpstreamUrlError::NotAbsolute),
            ("unix:", UpstreamUrlError::NotAbsolute),
            ("unix:/", UpstreamUrlError::NotAbsolute),
        ] {
            assert_eq!(UpstreamUrl::parse(text).unwrap_err(), expected, "{text}");
        }
    }
}
