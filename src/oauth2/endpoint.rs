//! What is asked of us: which endpoint, by whom, and how.

use std::borrow::Cow;

use http::Method;
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
    pub(crate) fn takes(self, method: &Method) -> bool {
        matches!(*method, Method::GET | Method::HEAD) || (self == Self::SignOut && *method == Method::POST)
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
    pub(crate) fn target(&self) -> &str {
        self.parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// Whether to answer with a page rather than with JSON.
    pub(crate) fn wants_page(&self) -> bool {
        self.kind != Kind::Program || wants_html(&self.parts.headers)
    }

    /// A parameter of the query; the first, if there are several.
    pub(crate) fn parameter(&self, name: &str) -> Option<Cow<'_, str>> {
        let query = self.parts.uri.query()?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }
}
