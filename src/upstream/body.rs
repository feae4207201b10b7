//! Bodies on their way through: never held, at most counted.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::pool::Lease;

/// A request's body on its way to the app.
#[derive(Debug)]
pub struct RequestBody {
    /// `None`: there is no body.
    body: Option<Incoming>,
    /// How many bytes may still come; `None` is no limit.
    left: Option<u64>,
    progress: Option<Arc<Progress>>,
}

/// When a body moved last.
#[derive(Debug)]
pub(super) struct Progress {
    began: Instant,
    /// Milliseconds since then.
    moved: AtomicU64,
}

/// Why a request's body ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestBodyError {
    /// Longer than the limit.
    #[error("the body is longer than the limit")]
    TooLarge,
    /// The client went away, or broke the framing.
    #[error(transparent)]
    Client(#[from] hyper::Error),
}

impl RequestBody {
    pub(super) fn new(body: Incoming, limit: Option<u64>) -> (Self, Option<Arc<Progress>>) {
        if body.is_end_stream() {
            return (Self::empty(), None);
        }
        let progress = Arc::new(Progress { began: Instant::now(), moved: AtomicU64::new(0) });
        (Self { body: Some(body), left: limit, progress: Some(Arc::clone(&progress)) }, Some(progress))
    }

    pub(super) fn empty() -> Self {
        Self { body: None, left: None, progress: None }
    }
}

impl Progress {
    /// Waits for `answer`, but not longer than `limit` after the body last moved.
    pub(super) async fn watch<T>(&self, answer: impl Future<Output = T>, limit: Duration) -> Option<T> {
        tokio::pin!(answer);
        loop {
            let due = self.began + Duration::from_millis(self.moved.load(Ordering::Relaxed)) + limit;
            match tokio::time::timeout_at(due, &mut answer).await {
                Ok(answer) => return Some(answer),
                Err(_)
                    if self.began + Duration::from_millis(self.moved.load(Ordering::Relaxed)) + limit
                        > Instant::now() => {}
                Err(_) => return None,
            }
        }
    }

    fn note(&self) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(since, Ordering::Relaxed);
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let Some(frame) = ready!(Pin::new(body).poll_frame(cx)) else { return Poll::Ready(None) };
        let frame = frame?;
        if let Some(progress) = &self.progress {
            progress.note();
        }
        if let (Some(left), Some(data)) = (self.left, frame.data_ref()) {
            let Some(left) = left.checked_sub(data.len() as u64) else {
                return Poll::Ready(Some(Err(RequestBodyError::TooLarge)));
            };
            self.left = Some(left);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

/// A response's body on its way to the client. When it is over, its connection
/// goes back to the pool; when the client leaves before that, the connection is
/// closed, and the app learns of it.
#[derive(Debug)]
pub struct ResponseBody {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Incoming { body: Incoming, lease: Option<Lease> },
    Whole(Option<Bytes>),
}

impl ResponseBody {
    pub(super) fn incoming(body: Incoming, lease: Lease) -> Self {
        let mut body = Self { kind: Kind::Incoming { body, lease: Some(lease) } };
        body.give_back_if_over();
        body
    }

    pub(super) fn empty() -> Self {
        Self { kind: Kind::Whole(None) }
    }

    /// A body of our own.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { kind: Kind::Whole((!bytes.is_empty()).then_some(bytes)) }
    }

    fn give_back_if_over(&mut self) {
        if let Kind::Incoming { body, lease } = &mut self.kind
            && body.is_end_stream()
            && let Some(lease) = lease.take()
        {
            lease.give_back();
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = match &mut self.kind {
            Kind::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Incoming { body, lease } => {
                let frame = ready!(Pin::new(body).poll_frame(cx));
                match &frame {
                    None => {
                        if let Some(lease) = lease.take() {
                            lease.give_back();
                        }
                    }
                    Some(Err(_)) => drop(lease.take()),
                    Some(Ok(_)) => {}
                }
                frame
            }
        };
        self.give_back_if_over();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Incoming { body, .. } => body.is_end_stream(),
            Kind::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Incoming { body, .. } => body.size_hint(),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}
