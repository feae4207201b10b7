//! A request's body on its way to the app: never held, at most counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::expect_continue::ContinueWaiter;
use super::stall_detector::{Fault, StallDetector};

/// A request's body on its way to the app.
#[derive(Debug)]
pub struct RequestBody {
    /// `None`: there is no body.
    body: Option<Incoming>,
    /// How many bytes may still come; `None` is no limit.
    left: Option<u64>,
    stall_detector: Option<Arc<StallDetector>>,
    /// Until the app wants it.
    held: Option<ContinueWaiter>,
}

/// Why a request's body ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestBodyError {
    /// Longer than the limit.
    #[error("the body is longer than the limit")]
    TooLarge,
    /// The app answered without asking for it.
    #[error("the app did not want the body")]
    Unwanted,
    /// The client went away, or broke the framing.
    #[error(transparent)]
    Client(#[from] hyper::Error),
}

impl RequestBody {
    pub(super) fn new(body: Incoming, limit: Option<u64>) -> (Self, Option<Arc<StallDetector>>) {
        if body.is_end_stream() {
            return (Self::empty(), None);
        }
        let stall_detector = Arc::new(StallDetector::new());
        let body = Self {
            body: Some(body),
            left: limit,
            stall_detector: Some(Arc::clone(&stall_detector)),
            held: None,
        };
        (body, Some(stall_detector))
    }

    pub(super) fn empty() -> Self {
        Self { body: None, left: None, stall_detector: None, held: None }
    }

    /// How it moves, if there is one.
    pub(super) fn stall_detector(&self) -> Option<&Arc<StallDetector>> {
        self.stall_detector.as_ref()
    }

    /// Nothing is asked of the client until the app wants it.
    pub(super) fn hold(&mut self, held: ContinueWaiter) {
        self.held = Some(held);
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(stall_detector) = &self.stall_detector {
            stall_detector.finish();
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
            stall_detector.listen(cx.waker());
            if stall_detector.is_over() {
                return Poll::Ready(Some(Err(RequestBodyError::Unwanted)));
            }
        }
        if let Some(held) = &mut this.held {
            if !ready!(held.poll_wanted(cx)) {
                return Poll::Ready(Some(Err(RequestBodyError::Unwanted)));
            }
            this.held = None;
        }
        loop {
            let polled = Pin::new(&mut *body).poll_frame(cx);
            if let Some(stall_detector) = &this.stall_detector {
                stall_detector.await_client(polled.is_pending());
                if polled.is_ready() {
                    stall_detector.note();
                }
            }
            let Some(frame) = ready!(polled) else { return Poll::Ready(None) };
            let frame = frame.inspect_err(|_| {
                this.stall_detector.iter().for_each(|stall_detector| stall_detector.end(Fault::Client))
            })?;
            let Some(data) = frame.data_ref() else {
                // Trailers end here. Servers merge them into the headers (RFC 9110,
                // section 6.5.1), so one could carry the name of an identity header
                // past the place where those are taken out.
                continue;
            };
            if let Some(left) = this.left {
                let Some(left) = left.checked_sub(data.len() as u64) else {
                    this.stall_detector.iter().for_each(|stall_detector| stall_detector.end(Fault::TooLarge));
                    return Poll::Ready(Some(Err(RequestBodyError::TooLarge)));
                };
                this.left = Some(left);
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
