//! A response body from the upstream, together with the connection it comes on.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::lease::Lease;
use crate::gate::PermissionEnded;

/// Returns its connection to the pool when the body is complete. Dropped before that,
/// or after an error, it closes the connection, so that the app stops sending.
#[derive(Debug)]
pub(super) struct LeasedBody {
    body: Incoming,
    lease: Option<Lease>,
    /// How many more bytes belong to the response, if hyper does not know.
    remaining: Option<u64>,
}

/// Why a response ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseBodyError {
    /// The app disconnected or broke the framing.
    #[error("the app disconnected, or its response is malformed")]
    Upstream(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The body was idle for longer than `timeouts.stream`.
    #[error("the response was idle for longer than timeouts.stream")]
    Stalled,
    /// The permission for the response ended.
    #[error(transparent)]
    PermissionEnded(#[from] PermissionEnded),
}

impl ResponseBodyError {
    pub(super) fn ended() -> Self {
        PermissionEnded::new().into()
    }
}

impl LeasedBody {
    pub(super) fn new(body: Incoming, lease: Lease) -> Self {
        let mut leased = Self { body, lease: Some(lease), remaining: None };
        leased.release_if_complete();
        leased
    }

    /// Ends the body after `length` bytes.
    pub(super) fn end_after(&mut self, length: u64) {
        if !self.body.is_end_stream() {
            self.remaining = Some(length);
        }
    }

    /// Closes the connection.
    pub(super) fn close(&mut self) {
        drop(self.lease.take());
    }

    pub(super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        if self.remaining == Some(0) {
            self.close();
            return Poll::Ready(None);
        }
        let polled = match self.remaining {
            None => Pin::new(&mut self.body).poll_frame(cx),
            Some(remaining) => self.poll_limited(cx, remaining),
        };
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.release(),
            Poll::Ready(Some(Err(_))) => self.close(),
            Poll::Ready(Some(Ok(_))) => self.release_if_complete(),
        }
        polled.map_err(|error| ResponseBodyError::Upstream(error.into()))
    }

    /// The next frame, of which at most `remaining` bytes belong to the response.
    fn poll_limited(
        &mut self,
        cx: &mut Context<'_>,
        remaining: u64,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        polled.map_ok(|frame| {
            let Ok(mut data) = frame.into_data() else { return Frame::data(Bytes::new()) };
            data.truncate(usize::try_from(remaining).unwrap_or(usize::MAX));
            self.remaining = Some(remaining - data.len() as u64);
            Frame::data(data)
        })
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.remaining == Some(0) || self.body.is_end_stream()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(|| self.body.size_hint(), SizeHint::with_exact)
    }

    fn release_if_complete(&mut self) {
        if self.remaining == Some(0) {
            // Only the end of the connection ends such a body for hyper.
            self.close();
        } else if self.body.is_end_stream() {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Some(lease) = self.lease.take() {
            lease.release();
        }
    }
}
