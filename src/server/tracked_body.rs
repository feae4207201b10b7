//! A response body that keeps its request in flight until it is complete.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;

use super::request_guard::RequestGuard;

pin_project! {
    /// A response body with the guard of its request.
    pub(super) struct TrackedBody<B> {
        #[pin]
        body: B,
        guard: RequestGuard,
    }
}

impl<B: Body> TrackedBody<B> {
    pub(super) fn new(body: B, mut guard: RequestGuard) -> Self {
        guard.set_complete(body.is_end_stream());
        Self { body, guard }
    }
}

impl<B> TrackedBody<Either<B, Full<Bytes>>> {
    /// The empty body of a response to HEAD.
    pub(super) fn into_empty(mut self) -> Self {
        self.guard.set_complete(true);
        Self { body: Either::Right(Full::default()), guard: self.guard }
    }
}

impl<B: Body<Data = Bytes>> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        this.guard.record_progress();
        this.guard.set_complete(match &frame {
            None => true,
            // The upstream's failure is not a cancellation by the client.
            Some(Err(_)) => true,
            Some(Ok(_)) => this.body.is_end_stream(),
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
