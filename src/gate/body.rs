//! The body of a response: the app's, unchanged, or our own.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// Completes when the permission for a stream no longer holds.
type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

pin_project! {
    /// The body of a response: the inner service's, or the gate's own. Frames, errors and
    /// trailers of the inner body are unchanged.
    pub struct GateBody<B> {
        #[pin]
        kind: BodyKind<B>,
    }
}

pin_project! {
    #[project = Projected]
    enum BodyKind<B> {
        Inner { #[pin] body: B, until: Option<Ended> },
        Own { bytes: Option<Bytes> },
    }
}

impl<B> GateBody<B> {
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self { kind: BodyKind::Own { bytes: (!bytes.is_empty()).then_some(bytes) } }
    }

    pub(super) fn inner(body: B) -> Self {
        Self { kind: BodyKind::Inner { body, until: None } }
    }

    /// The inner body until `ended` is ready: an event stream must not outlive its session.
    pub(super) fn inner_until(body: B, ended: Ended) -> Self {
        Self { kind: BodyKind::Inner { body, until: Some(ended) } }
    }
}

impl<B: Body<Data = Bytes>> Body for GateBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().kind.project() {
            Projected::Inner { body, until } => {
                if let Some(ended) = until
                    && ended.as_mut().poll(cx).is_ready()
                {
                    return Poll::Ready(None);
                }
                let frame = ready!(body.poll_frame(cx));
                Poll::Ready(frame)
            }
            Projected::Own { bytes } => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Inner { body, .. } => body.is_end_stream(),
            BodyKind::Own { bytes } => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Inner { body, until: None } => body.size_hint(),
            // It may end early, so no length is known.
            BodyKind::Inner { until: Some(_), .. } => SizeHint::default(),
            BodyKind::Own { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

impl<B: Default> Default for GateBody<B> {
    fn default() -> Self {
        Self::inner(B::default())
    }
}

impl<B> fmt::Debug for GateBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.kind {
            BodyKind::Inner { .. } => "GateBody(inner)",
            BodyKind::Own { .. } => "GateBody(own)",
        })
    }
}
