//! 401 and 403: the permission ended while the request waited for the app. A response that
//! has begun is cut instead.

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

use super::kept_head::FailedRequest;
use super::unauthenticated::CHALLENGE;
use super::{EndpointUrls, answer, grpc, openai};
use crate::pages;

const SESSION_ENDED: &str =
    "The session ended before the app answered. The app may have received the request.";
const ACCESS_ENDED: &str =
    "The rules stopped allowing this request before the app answered. The app may have received it.";

/// Why the permission ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// The session has ended, or the token is no longer valid.
    Session,
    /// The session goes on; its person may no longer be there.
    Access,
}

impl Interruption {
    /// The error code of the answer, and of logs.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Session => "session_ended",
            Self::Access => "access_ended",
        }
    }
}

/// The answer in place of the app's. The client may still be sending the request, so the
/// connection is closed.
pub(crate) fn interrupted(
    interruption: Interruption,
    request: FailedRequest<'_>,
    urls: &EndpointUrls,
) -> Response<Bytes> {
    let mut response = match interruption {
        Interruption::Session => session_ended(request, urls),
        Interruption::Access => access_ended(request),
    };
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    grpc::adapt(request.content_type, openai::adapt(request.speaks_openai, response))
}

fn session_ended(request: FailedRequest<'_>, urls: &EndpointUrls) -> Response<Bytes> {
    let mut response = if request.wants_page() {
        let start = urls.start(request.target, None);
        answer::error_page(
            StatusCode::UNAUTHORIZED,
            Interruption::Session.code(),
            SESSION_ENDED,
            pages::session_ended(request.host, &start),
        )
    } else {
        answer::json(
            StatusCode::UNAUTHORIZED,
            &json!({
                "error": Interruption::Session.code(),
                "error_description": SESSION_ENDED,
                "sign_in_url": urls.sign_in(request.target),
            }),
        )
    };
    response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
    response
}

fn access_ended(request: FailedRequest<'_>) -> Response<Bytes> {
    if request.wants_page() {
        return answer::error_page(
            StatusCode::FORBIDDEN,
            Interruption::Access.code(),
            ACCESS_ENDED,
            pages::access_ended(),
        );
    }
    answer::json(
        StatusCode::FORBIDDEN,
        &json!({"error": Interruption::Access.code(), "error_description": ACCESS_ENDED}),
    )
}
