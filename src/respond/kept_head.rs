//! What is kept of a request that goes to the app, for an answer in the app's place.

use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, ORIGIN, USER_AGENT};
use http::uri::PathAndQuery;

use crate::client::{FieldSet, is_openai_agent};

/// The parts of a request that are kept to explain that the app's answer does not come.
/// Almost all requests are answered, so nothing is copied that is not shared.
#[derive(Debug)]
pub(crate) struct KeptHead {
    target: Option<PathAndQuery>,
    accept: Option<HeaderValue>,
    content_type: Option<HeaderValue>,
    origin: Option<HeaderValue>,
    speaks_openai: bool,
}

/// The parts of a request that the answer needs.
#[derive(Clone, Copy)]
pub(crate) struct FailedRequest<'a> {
    pub(crate) host: &'a str,
    /// Path and query, for a retry.
    pub(crate) target: &'a str,
    pub(crate) accept: Option<&'a HeaderValue>,
    pub(crate) content_type: Option<&'a HeaderValue>,
    pub(crate) speaks_openai: bool,
    #[cfg_attr(not(feature = "proxy"), expect(dead_code, reason = "the proxy's pages say it"))]
    pub(crate) signed_in: bool,
}

impl KeptHead {
    /// `fields` are those that the request came with.
    pub(crate) fn of<B>(request: &Request<B>, fields: FieldSet) -> Self {
        let headers = request.headers();
        let copy_of = |set, name| if fields.has(set) { headers.get(name).cloned() } else { None };
        Self {
            target: request.uri().path_and_query().cloned(),
            accept: copy_of(FieldSet::ACCEPT, ACCEPT),
            content_type: copy_of(FieldSet::CONTENT_TYPE, CONTENT_TYPE),
            origin: copy_of(FieldSet::ORIGIN, ORIGIN),
            speaks_openai: fields.has(FieldSet::STAINLESS)
                || (fields.has(FieldSet::USER_AGENT)
                    && headers.get_all(USER_AGENT).iter().any(is_openai_agent)),
        }
    }

    /// Its `Origin`, for CORS.
    pub(crate) fn origin(&self) -> Option<&HeaderValue> {
        self.origin.as_ref()
    }

    /// The request, at `host`. On public routes, nobody may be signed in.
    pub(crate) fn request<'a>(&'a self, host: &'a str, signed_in: bool) -> FailedRequest<'a> {
        FailedRequest {
            host,
            target: self.target.as_ref().map_or("/", PathAndQuery::as_str),
            accept: self.accept.as_ref(),
            content_type: self.content_type.as_ref(),
            speaks_openai: self.speaks_openai,
            signed_in,
        }
    }
}

impl FailedRequest<'_> {
    /// Whether to answer with a page rather than with JSON.
    pub(crate) fn wants_page(&self) -> bool {
        self.accept.is_some_and(|accept| memchr::memmem::find(accept.as_bytes(), b"text/html").is_some())
    }
}
