//! Origins of other sites that a route trusts with what the gate says (Fetch standard, "CORS
//! protocol").

use std::fmt;

use url::Url;

/// The origin of a site, as browsers send it: `https://app.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOrigin(String);

/// Why a string is not an origin that a route can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CorsOriginError {
    /// `*`
    #[error("would let the pages of every site read what huggate says to the person; list the origins")]
    Every,
    /// Not a scheme, a host and perhaps a port.
    #[error("is not an origin; write it like \"https://app.example.com\", without a path")]
    NotAnOrigin,
}

impl CorsOrigin {
    /// Parses an origin: `http` or `https`, a host, and a port unless it is the scheme's.
    ///
    /// ```
    /// use huggate::policy::CorsOrigin;
    ///
    /// assert_eq!(CorsOrigin::parse("https://App.example.com:443")?.as_str(), "https://app.example.com");
    /// assert!(CorsOrigin::parse("https://app.example.com/page").is_err());
    /// assert!(CorsOrigin::parse("*").is_err());
    /// # Ok::<(), huggate::policy::CorsOriginError>(())
    /// ```
    ///
    /// # Errors
    /// See [`CorsOriginError`].
    pub fn parse(text: &str) -> Result<Self, CorsOriginError> {
        if text.contains('*') {
            return Err(CorsOriginError::Every);
        }
        let url = Url::parse(text).map_err(|_| CorsOriginError::NotAnOrigin)?;
        let bare = matches!(url.scheme(), "http" | "https")
            && url.path() == "/"
            && !text.ends_with('/')
            && !text.contains(['?', '#', '@', '\\'])
            && !text.contains(char::is_whitespace);
        if bare { Ok(Self(url.origin().ascii_serialization())) } else { Err(CorsOriginError::NotAnOrigin) }
    }

    /// As browsers send it in `Origin`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CorsOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_perhaps_a_port() {
        for (text, origin) in [
            ("https://app.example.com", Some("https://app.example.com")),
            ("HTTPS://APP.example.com", Some("https://app.example.com")),
            ("https://app.example.com:443", Some("https://app.example.com")),
            ("https://app.example.com:8443", Some("https://app.example.com:8443")),
            ("http://localhost:3000", Some("http://localhost:3000")),
            ("http://[::1]:3000", Some("http://[::1]:3000")),
            ("https://jörg.example", Some("https://xn--jrg-sna.example")),
            ("https://app.example.com/", None),
            ("https://app.example.com/x", None),
            ("https://app.example.com?x", None),
            ("https://app.example.com#x", None),
            ("https://ada@app.example.com", None),
            ("https:app.example.com\\", None),
            ("app.example.com", None),
            ("null", None),
            ("file:///x", None),
            ("chrome-extension://abc", None),
            ("", None),
        ] {
            let parsed = CorsOrigin::parse(text);
            assert_eq!(parsed.as_ref().ok().map(CorsOrigin::as_str), origin, "{text}");
        }
        for every in ["*", "https://*.example.com", "https://*"] {
            assert_eq!(CorsOrigin::parse(every), Err(CorsOriginError::Every), "{every}");
        }
    }
}
