//! Lets pages of other origins read the gate's refusals (Fetch standard, "CORS protocol").

use bytes::Bytes;
use http::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
    HeaderValue, VARY,
};

use crate::policy::CorsOrigin;

/// The fields of refusals that a page cannot read otherwise.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("WWW-Authenticate, Retry-After, RateLimit, RateLimit-Policy, X-Request-Id");

/// Makes a refusal readable to `origin`, if it is one of `listed`. `Vary` says that the answer
/// depends on it in any case.
pub(crate) fn expose(listed: &[CorsOrigin], origin: Option<&HeaderValue>, response: &mut Response<Bytes>) {
    if listed.is_empty() {
        return;
    }
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin.filter(|origin| listed.iter().any(|listed| *origin == listed.as_str())) else {
        return;
    };
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}
