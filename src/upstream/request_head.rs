//! The head of a request, translated to the version of HTTP that the connection speaks.

use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, Parts, Scheme};
use http::{Method, Request, Uri, Version};
use http_body::Body;

use super::address::UpstreamUrl;
use super::request_body::RequestBody;

/// Whether sending the request twice has the same effect as sending it once (RFC 9110,
/// section 9.2.2).
pub(super) fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    )
}

/// A copy of a request without a body, for a retry.
pub(super) fn copy_without_body(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::empty());
    request.method().clone_into(copy.method_mut());
    request.uri().clone_into(copy.uri_mut());
    request.headers().clone_into(copy.headers_mut());
    *copy.version_mut() = request.version();
    copy
}

/// Announces the body of a `GET` or `HEAD` whose length is unknown: hyper sends no body
/// with these methods otherwise.
pub(super) fn announce_body(request: &mut Request<RequestBody>) {
    if matches!(*request.method(), Method::GET | Method::HEAD)
        && !request.headers().contains_key(CONTENT_LENGTH)
    {
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// Translates to HTTP/1.1: the target in origin form, and `Host` (RFC 9112, section 3.2).
pub(super) fn into_http1(request: &mut Request<RequestBody>) {
    if request.version() == Version::HTTP_11 {
        return;
    }
    *request.version_mut() = Version::HTTP_11;
    let host = request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(target) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(target);
    }
}

/// Translates to HTTP/2: `:scheme`, and `:authority` instead of `Host` (RFC 9113,
/// section 8.3.1). The path does not change.
pub(super) fn into_http2(request: &mut Request<RequestBody>, url: &UpstreamUrl) {
    if request.version() == Version::HTTP_2 {
        return;
    }
    *request.version_mut() = Version::HTTP_2;
    // hyper's HTTP/2 client does not report informational responses, so nothing could
    // tell that the body is wanted.
    request.headers_mut().remove(EXPECT);
    request.headers_mut().remove(TRANSFER_ENCODING);
    if request.body().is_end_stream()
        && request.headers().get(CONTENT_LENGTH).is_some_and(|length| length == "0")
    {
        // hyper adds it again from the body.
        request.headers_mut().remove(CONTENT_LENGTH);
    }
    let host = request.headers_mut().remove(HOST);
    let authority = host.as_ref().and_then(|host| Authority::try_from(host.as_bytes()).ok());
    // `Host` may be empty (RFC 9112, section 3.2); `:authority` may not.
    let authority = authority.or_else(|| Authority::try_from(url.authority.as_str()).ok());
    let mut parts = Parts::default();
    parts.scheme = Some(if url.is_https() { Scheme::HTTPS } else { Scheme::HTTP });
    parts.authority = authority;
    parts.path_and_query = request.uri().path_and_query().cloned();
    match Uri::from_parts(parts) {
        Ok(uri) => *request.uri_mut() = uri,
        // Without an authority, the request keeps `Host`.
        Err(_) => {
            if let Some(host) = host {
                request.headers_mut().insert(HOST, host);
            }
        }
    }
}
