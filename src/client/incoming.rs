//! A request as endpoints and answers see it.

use std::borrow::Cow;

use http::request::Parts;

use super::request_kind::{RequestKind, wants_html};
use super::resolve::Client;

/// A request and its client.
#[derive(Clone, Copy)]
pub(crate) struct IncomingRequest<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) client: &'a Client,
    pub(crate) kind: RequestKind,
    /// The return address after a sign-in, if it differs from the request's own target.
    pub(crate) return_address: Option<&'a str>,
}

impl<'a> IncomingRequest<'a> {
    pub(crate) fn new(parts: &'a Parts, client: &'a Client) -> Self {
        Self { parts, client, kind: RequestKind::of(parts), return_address: None }
    }

    /// Path and query, as they were sent.
    pub(crate) fn target(&self) -> &'a str {
        self.parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// Whether to answer with a page rather than with JSON.
    pub(crate) fn wants_page(&self) -> bool {
        self.kind != RequestKind::Program || wants_html(&self.parts.headers)
    }

    /// Its `X-Request-Id`, if that is one line of 1 to 128 letters, digits, `-`, `_` and `.`.
    pub(crate) fn request_id(&self) -> Option<&'a str> {
        let mut lines = self.parts.headers.get_all("x-request-id").iter();
        let id = lines.next().filter(|_| lines.next().is_none())?.to_str().ok()?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        ((1..=128).contains(&id.len()) && id.bytes().all(plain)).then_some(id)
    }

    /// A query parameter; the first if it is repeated.
    pub(crate) fn parameter(&self, name: &str) -> Option<Cow<'a, str>> {
        let query = self.parts.uri.query()?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }
}
