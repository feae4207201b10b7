//! A response body from the upstream, together with the connection it comes on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::lease::Lease;

/// Returns its connection to the pool when the body is complete. Dropped before that,
/// or after an error, it closes the connection, so that the app stops sending.
#[derive(Debug)]
pub(super) struct LeasedBody {
    body: Incoming,
    lease: Option<Lease>,
}

/// Why a response ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseBodyError {
    /// The app disconnected or broke the framing.
    #[error(transparent)]
    Upstream(#[from] hyper::Error),
    /// The body was idle for longer than `timeouts.stream`.
    #[error("the response was idle for longer than timeouts.stream")]
    Stalled,
}

impl LeasedBody {
    pub(super) fn new(body: Incoming, lease: Lease) -> Self {
        let mut leased = Self { body, lease: Some(lease) };
        leased.release_if_complete();
        leased
    }

    /// Closes the connection.
    pub(super) fn close(&mut self) {
        drop(self.lease.take());
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.release(),
            Poll::Ready(Some(Err(_))) => self.close(),
            Poll::Ready(Some(Ok(_))) => self.release_if_complete(),
        }
        polled.map_err(ResponseBodyError::from)
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }

    fn release_if_complete(&mut self) {
        if self.body.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }
}
