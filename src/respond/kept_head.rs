//! What is kept of a request that goes to the app, for an answer in the app's place.

use http::Request;
use http::header::HeaderValue;

use crate::client::names_openai;

/// The parts of a request that are kept to explain that the app's answer does not come.
/// Almost all requests are answered, so nothing is copied that is not shared.
#[derive(Debug)]
pub(crate) struct KeptHead {
    target: http::Uri,
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
    /// One pass over the fields: looking four names up costs more.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let mut kept = Self {
            target: request.uri().clone(),
            accept: None,
            content_type: None,
            origin: None,
            speaks_openai: false,
        };
        for (name, value) in request.headers() {
            match name.as_str().as_bytes() {
                b"accept" => _ = kept.accept.get_or_insert_with(|| value.clone()),
                b"origin" => _ = kept.origin.get_or_insert_with(|| value.clone()),
                b"content-type" => _ = kept.content_type.get_or_insert_with(|| value.clone()),
                _ => kept.speaks_openai |= names_openai(name, value),
            }
        }
        kept
    }

    /// Its `Origin`, for CORS.
    pub(crate) fn origin(&self) -> Option<&HeaderValue> {
        self.origin.as_ref()
    }

    /// The request, at `host`. On public routes, nobody may be signed in.
    pub(crate) fn request<'a>(&'a self, host: &'a str, signed_in: bool) -> FailedRequest<'a> {
        FailedRequest {
            host,
            target: self.target.path_and_query().map_or("/", http::uri::PathAndQuery::as_str),
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
