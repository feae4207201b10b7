//! Refusals of `Authorization: Bearer` (RFC 6750, section 3): JSON with a challenge.

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

use super::answer;

const TOKEN_NEEDED: &str = "This address is for API clients. Send a Hugging Face token: Authorization: Bearer hf_... (huggingface.co/settings/tokens)";
const BARE_CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"huggate\"");

/// 401 without an error in the challenge: the route requires a token, and none was sent.
pub(crate) fn token_required(code: &str) -> Response<Bytes> {
    let document = json!({"error": code, "error_description": TOKEN_NEEDED});
    challenged(answer::json(StatusCode::UNAUTHORIZED, &document), BARE_CHALLENGE)
}

/// 400: `Authorization` is malformed or repeated.
pub(crate) fn malformed(code: &str, why: &str) -> Response<Bytes> {
    let document = json!({"error": code, "error_description": why});
    challenged(answer::json(StatusCode::BAD_REQUEST, &document), challenge(code, why))
}

/// 401: the token is not valid. `sign_in_url` is given if a session is accepted too.
pub(crate) fn invalid(code: &str, why: &str, sign_in_url: Option<&str>) -> Response<Bytes> {
    let mut document = json!({"error": code, "error_description": why});
    if let (Some(url), Some(fields)) = (sign_in_url, document.as_object_mut()) {
        fields.insert("sign_in_url".to_owned(), json!(url));
    }
    challenged(answer::json(StatusCode::UNAUTHORIZED, &document), challenge(code, why))
}

/// 503: the token cannot be checked now.
pub(crate) fn unchecked(code: &str, why: &str, retry_after: u64) -> Response<Bytes> {
    let document = json!({"error": code, "error_description": why});
    let mut response = answer::json(StatusCode::SERVICE_UNAVAILABLE, &document);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(retry_after));
    response
}

/// These sentences have neither quotation marks nor non-ASCII letters.
fn challenge(code: &str, why: &str) -> HeaderValue {
    let text = format!("Bearer realm=\"huggate\", error=\"{code}\", error_description=\"{why}\"");
    HeaderValue::try_from(text).unwrap_or(BARE_CHALLENGE)
}

fn challenged(mut response: Response<Bytes>, challenge: HeaderValue) -> Response<Bytes> {
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}
