//! What is asked of us: which endpoint, by whom, and how.

use std::borrow::Cow;

use http::Method;
use http::header::HeaderName;
use http::request::Parts;

use crate::client::{Client, Kind, wants_html};

/// One of our endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Start,
    Callback,
    SignIn,
    SignOut,
    Userinfo,
    Jwks,
    Healthz,
    Readyz,
}

impl Endpoint {
    /// The endpoint at this name below the prefix.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "start" => Self::Start,
            "callback" => Self::Callback,
            "sign_in" => Self::SignIn,
            "sign_out" => Self::SignOut,
            "userinfo" => Self::Userinfo,
            "jwks.json" => Self::Jwks,
            "healthz" => Self::Healthz,
            "readyz" => Self::Readyz,
            _ => return None,
        })
    }

    /// Whether the endpoint has an answer to `method`.
    pub(super) fn takes(self, method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD) || (self == Self::SignOut && *method == Method::POST)
    }
}

const X_AUTH_REQUEST_REDIRECT: HeaderName = HeaderName::from_static("x-auth-request-redirect");

/// Where to return after a sign-in, as the proxy in front says. It has the name of
/// an identity header, so it is put aside before those are stripped; it counts
/// only from trusted proxies.
#[derive(Debug, Clone)]
pub(crate) struct Redirect {
    /// `None` if it came twice, or is not text.
    address: Option<String>,
}

impl Redirect {
    /// Puts the header aside, in the request's extensions.
    pub(crate) fn put_aside(parts: &mut Parts) {
        let mut lines = parts.headers.get_all(X_AUTH_REQUEST_REDIRECT).iter();
        let Some(first) = lines.next() else { return };
        let alone = lines.next().is_none();
        let address = first.to_str().ok().filter(|_| alone).map(str::to_owned);
        parts.extensions.insert(Self { address });
    }

    pub(crate) fn to(address: String) -> Self {
        Self { address: Some(address) }
    }

    /// Whether it does not say one thing.
    pub(crate) fn is_unclear(&self) -> bool {
        self.address.is_none()
    }
}

/// A request, and what is known of its sender.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) client: &'a Client,
    pub(crate) kind: Kind,
}

impl Ask<'_> {
    /// Path and query, as they were sent.
    pub(super) fn target(&self) -> &str {
        self.parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// Whether to answer with a page rather than with JSON.
    pub(crate) fn wants_page(&self) -> bool {
        self.kind != Kind::Program || wants_html(&self.parts.headers)
    }

    /// Where the proxy in front says to return, if one that is believed does.
    pub(super) fn redirect(&self) -> Option<&str> {
        let redirect = self.parts.extensions.get::<Redirect>().filter(|_| self.client.trusted)?;
        Some(redirect.address.as_deref().unwrap_or("/"))
    }

    /// A parameter of the query; the first, if there are several.
    pub(super) fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        let query = self.parts.uri.query()?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }
}
