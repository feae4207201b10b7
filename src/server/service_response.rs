//! The response to a request: the service's, or a rejection in plain text.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body;
use http_body_util::{Either, Full};

use super::rejection::Rejection;
use super::request_guard::RequestGuard;
use super::tracked_body::TrackedBody;

/// Where a response comes from.
pub(super) enum ResponseSource<F> {
    Service(F),
    Rejected(Rejection),
}

impl<F, B> ResponseSource<F>
where
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// The response. A panic of the service ends only this request, with 500: what it
    /// shares with others is behind locks that a panic leaves consistent.
    ///
    /// `expects_continue`: the client waits for 100 before it sends the body. If the
    /// response comes first, the client may send the body or not (RFC 9110, section
    /// 10.1.1), so the connection is closed.
    pub(super) async fn respond(
        self,
        guard: RequestGuard,
        expects_continue: bool,
    ) -> Result<Response<TrackedBody<Either<B, Full<Bytes>>>>, Infallible> {
        let mut response = match self {
            Self::Rejected(rejection) => plain_text(rejection.status(), rejection.message()),
            Self::Service(service) => match AssertUnwindSafe(service).catch_unwind().await {
                Ok(response) => response.map(Either::Left),
                Err(_) => plain_text(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "an internal error occurred; the log has the details\n",
                ),
            },
        };
        if expects_continue && guard.is_silent() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| TrackedBody::new(body, guard)))
    }
}

fn plain_text<B>(status: StatusCode, message: &'static str) -> Response<Either<B, Full<Bytes>>> {
    let mut response = Response::new(Either::Right(Full::from(message)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
