//! A sample request to explain.

use std::str::FromStr;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{Method, Request, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::client::PublicUrl;

/// The characters that browsers percent-encode in a typed URL (URL Standard, path
/// percent-encode set), as far as they cannot be sent otherwise.
const TYPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'`').add(b'{').add(b'}');

/// A sample request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SampleRequest {
    method: Method,
    preflight: bool,
    /// `None` for the host of the public URL.
    host: Option<String>,
    uri: Uri,
}

/// Why a text is not the address of a sample request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnAddress {
    /// Neither a path nor an http or https URL.
    #[error("is neither a path, as in \"/admin\", nor an address, as in \"https://app.example.com/admin\"")]
    Relative,
    /// It cannot be sent in a request.
    #[error("cannot be sent in a request")]
    Unsendable,
}

impl SampleRequest {
    /// A request with `method` for `address`: a path at the public URL, or an http or
    /// https URL. The path is not normalized.
    ///
    /// # Errors
    /// See [`NotAnAddress`].
    pub fn new(method: Method, address: &str) -> Result<Self, NotAnAddress> {
        let (host, target) = match address.split_once("://") {
            Some(("http" | "https", rest)) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (host, target) = rest.split_at(end);
                (
                    Some(host.to_owned()),
                    if target.starts_with('/') { target.to_owned() } else { format!("/{target}") },
                )
            }
            _ if address.starts_with('/') || address == "*" => (None, address.to_owned()),
            _ => return Err(NotAnAddress::Relative),
        };
        let sent = utf8_percent_encode(&target, TYPED).to_string();
        let uri = Uri::from_str(&sent).map_err(|_| NotAnAddress::Unsendable)?;
        Ok(Self { method, preflight: false, host, uri })
    }

    /// Replaces the request by the CORS preflight that a browser sends before it for a
    /// page of another origin.
    #[must_use]
    pub fn preflight(self) -> Self {
        Self { preflight: true, ..self }
    }

    /// The request as the gate receives it.
    pub(crate) fn parts(&self, public_url: &PublicUrl) -> Parts {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.uri = self.uri.clone();
        parts.method = self.method.clone();
        let host = self.host.as_deref().unwrap_or(public_url.authority());
        let mut put = |name, value: &str| {
            // A host with a line break cannot be sent and is left out.
            parts.headers.extend(HeaderValue::from_str(value).ok().map(|value| (name, value)));
        };
        put(HOST, host);
        if self.preflight {
            put(ORIGIN, "https://another-site.example");
            put(ACCESS_CONTROL_REQUEST_METHOD, self.method.as_str());
            parts.method = Method::OPTIONS;
        }
        parts
    }
}
