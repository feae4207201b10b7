//! The response to a request: the service's, or a rejection.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use http::Response;
use http::header::{CONNECTION, HeaderValue};
use http_body::Body;
use http_body_util::{Either, Full};

use super::rejection::Rejection;
use super::request_guard::RequestGuard;
use super::tracked_body::TrackedBody;

/// What a response depends on besides its source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) client: Option<IpAddr>,
    /// The client waits for 100 before it sends the body.
    pub(super) expects_continue: bool,
}

impl Asker {
    fn reject(self, rejection: Rejection, wants_page: bool) -> Response<Full<Bytes>> {
        rejection.answer(wants_page, self.client).map(Full::new)
    }
}

/// Where a response comes from.
pub(super) enum ResponseSource<F> {
    Service(F),
    Rejected { rejection: Rejection, wants_page: bool },
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
    /// If the client waits for 100 and the response comes first, the client may send the
    /// body or not (RFC 9110, section 10.1.1), so the connection is closed.
    pub(super) async fn respond(
        self,
        guard: RequestGuard,
        asker: Asker,
    ) -> Result<Response<TrackedBody<Either<B, Full<Bytes>>>>, Infallible> {
        let served = match self {
            Self::Rejected { rejection, wants_page } => Err(asker.reject(rejection, wants_page)),
            Self::Service(service) => AssertUnwindSafe(service)
                .catch_unwind()
                .await
                .map_err(|_| asker.reject(Rejection::Panicked, false)),
        };
        let closes = asker.expects_continue && guard.is_silent();
        let mut response = match served {
            Ok(response) => response.map(|body| TrackedBody::new(Either::Left(body), guard)),
            Err(own) => own.map(|body| TrackedBody::new(Either::Right(body), guard)),
        };
        if closes {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}
