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

/// The request body on its way to the app. Boxed, because requests are moved often and most
/// have no body.
#[derive(Debug)]
pub struct RequestBody(Option<Box<Upload>>);

/// A body that is not empty.
#[derive(Debug)]
struct Upload {
    body: Incoming,
    /// How many more bytes are allowed; `None` is no limit.
    remaining: Option<u64>,
    stall_detector: Arc<StallDetector>,
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
    #[error("the client disconnected, or its request is malformed")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
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
        let upload = Upload {
            body,
            remaining: limit,
            stall_detector: Arc::clone(&stall_detector),
            wait_for_continue: None,
        };
        (Self(Some(Box::new(upload))), Some(stall_detector))
    }

    pub(super) fn empty() -> Self {
        Self(None)
    }

    pub(super) fn stall_detector(&self) -> Option<&Arc<StallDetector>> {
        self.0.as_ref().map(|upload| &upload.stall_detector)
    }

    /// Reads nothing from the client until the app has asked for the body.
    pub(super) fn wait_for_continue(&mut self, waiter: ContinueWaiter) {
        if let Some(upload) = &mut self.0 {
            upload.wait_for_continue = Some(waiter);
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.stall_detector.close();
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(upload) = self.0.as_deref_mut() else { return Poll::Ready(None) };
        let stall_detector = &upload.stall_detector;
        stall_detector.register_body(cx.waker());
        if stall_detector.grant().has_ended() {
            return Poll::Ready(Some(Err(RequestBodyError::PermissionEnded)));
        }
        if stall_detector.is_closed() {
            return Poll::Ready(Some(Err(RequestBodyError::Unwanted)));
        }
        if let Some(waiter) = &mut upload.wait_for_continue {
            if !ready!(waiter.poll_continue(cx)) {
                return Poll::Ready(Some(Err(RequestBodyError::Unwanted)));
            }
            upload.wait_for_continue = None;
        }
        loop {
            let polled = Pin::new(&mut upload.body).poll_frame(cx);
            stall_detector.set_waiting_for_client(polled.is_pending());
            if polled.is_ready() {
                stall_detector.record_progress();
            }
            let frame = match ready!(polled) {
                None => return Poll::Ready(None),
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    stall_detector.fail(BodyFailure::Client);
                    return Poll::Ready(Some(Err(RequestBodyError::Client(error.into()))));
                }
            };
            let Some(data) = frame.data_ref() else {
                // Trailers are dropped. Servers may merge them into the headers
                // (RFC 9110, section 6.5.1), so a trailer could bring in an identity
                // header after those of the client were removed.
                continue;
            };
            if let Some(remaining) = upload.remaining {
                let Some(remaining) = remaining.checked_sub(data.len() as u64) else {
                    stall_detector.fail(BodyFailure::TooLarge);
                    return Poll::Ready(Some(Err(RequestBodyError::TooLarge)));
                };
                upload.remaining = Some(remaining);
            }
            return Poll::Ready(Some(Ok(frame)));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| upload.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), |upload| upload.body.size_hint())
    }
}
