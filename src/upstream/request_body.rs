//! The request body on its way to the app: streamed, never buffered, its length limited.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::expect_continue::ContinueWaiter;
use super::stall_detector::{BodyFailure, StallDetector};
use crate::gate::Grant;

/// The request body on its way to the app.
#[derive(Debug)]
pub struct RequestBody {
    /// `None`: the request has no body.
    body: Option<Incoming>,
    /// How many more bytes are allowed; `None` is no limit.
    remaining: Option<u64>,
    stall_detector: Option<Arc<StallDetector>>,
    /// Present until the app has asked for the body.
    wait_for_continue: Option<ContinueWaiter>,
}

/// Why a request body ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestBodyError {
    /// Longer than the limit.
    #[error("the body is longer than the limit")]
    TooLarge,
    /// The session ended while it was on its way.
    #[error("the session ended during the upload")]
    PermissionEnded,
    /// The app answered without asking for it.
    #[error("the app answered without reading the body")]
    Unwanted,
    /// The client disconnected or broke the framing.
    #[error(transparent)]
    Client(#[from] hyper::Error),
}

impl RequestBody {
    /// The body of at most `limit` bytes, and what observes its progress, if there is
    /// one.
    pub(super) fn new(
        body: Incoming,
        limit: Option<u64>,
        grant: &Grant,
    ) -> (Self, Option<Arc<StallDetector>>) {
        if body.is_end_stream() {
            return (Self::empty(), None);
        }
        let stall_detector = Arc::new(StallDetector::new(grant.clone()));
        let body = Self {
            body: Some(body),
            remaining: limit,
            stall_detector: Some(Arc::clone(&stall_detector)),
            wait_for_continue: None,
        };
        (body, Some(stall_detector))
    }

    pub(super) fn empty() -> Self {
        Self { body: None, remaining: None, stall_detector: None, wait_for_continue: None }
    }

    pub(super) fn stall_detector(&self) -> Option<&Arc<StallDetector>> {
        self.stall_detector.as_ref()
    }

    /// Reads nothing from the client until the app has asked for the body.
    pub(super) fn wait_for_continue(&mut self, waiter: ContinueWaiter) {
        self.wait_for_continue = Some(waiter);
    }

    fn fail(&self, failure: BodyFailure) {
        if let Some(stall_detector) = &self.stall_detector {
            stall_detector.fail(failure);
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(stall_detector) = &self.stall_detector {
            stall_detector.close();
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Some(stall_detector) = &this.stall_detector {
            stall_detector.register_body(cx.waker());
            if stall_detector.grant().has_ended() {
                return Poll::Ready(Some(Err(RequestBodyError::PermissionEnded)));
            }
            if stall_detector.is_closed() {
                return Poll::Ready(Some(Err(RequestBodyError::Unwanted)));
            }
        }
        if let Some(waiter) = &mut this.wait_for_continue {
            if !ready!(waiter.poll_continue(cx)) {
                return Poll::Ready(Some(Err(RequestBodyError::Unwanted)));
            }
            this.wait_for_continue = None;
        }
        loop {
            let polled = Pin::new(&mut *body).poll_frame(cx);
            if let Some(stall_detector) = &this.stall_detector {
                stall_detector.set_waiting_for_client(polled.is_pending());
                if polled.is_ready() {
                    stall_detector.record_progress();
                }
            }
            let frame = match ready!(polled) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    this.fail(BodyFailure::Client);
                    return Poll::Ready(Some(Err(error.into())));
                }
            };
            let Some(data) = frame.data_ref() else {
                // Trailers are dropped. Servers may merge them into the headers
                // (RFC 9110, section 6.5.1), so a trailer could bring in an identity
                // header after those of the client were removed.
                continue;
            };
            if let Some(remaining) = this.remaining {
                let Some(remaining) = remaining.checked_sub(data.len() as u64) else {
                    this.fail(BodyFailure::TooLarge);
                    return Poll::Ready(Some(Err(RequestBodyError::TooLarge)));
                };
                this.remaining = Some(remaining);
            }
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}
