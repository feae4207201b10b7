//! The head of a request, borrowed: from a whole request or from its parts.

use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri, Version};

use super::field_set::FieldSet;

/// Method, target, version and fields of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestHead<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) version: Version,
    pub(crate) headers: &'a HeaderMap,
    /// Which fields are in `headers`.
    pub(crate) fields: FieldSet,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            version: request.version(),
            headers: request.headers(),
            fields: FieldSet::of(request.headers()),
        }
    }
}

impl<'a> From<&'a Parts> for RequestHead<'a> {
    fn from(parts: &'a Parts) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            version: parts.version,
            headers: &parts.headers,
            fields: FieldSet::of(&parts.headers),
        }
    }
}
