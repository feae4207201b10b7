//! The body of a response: the app's, unchanged, or our own.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::permission_watch::PermissionWatch;

pin_project! {
    /// The body of a response: the inner service's, or the gate's own. Frames, errors and
    /// trailers of the inner body are unchanged.
    ///
    /// Behind the layer, the inner body is cut when its session ends or the gate drains: with
    /// an error, so that the server closes the connection or resets the stream and the response does not
    /// look complete. That needs an error type that the gate can make: a boxed error,
    /// [`io::Error`], or `axum::Error` with the feature `axum`. A body with another error
    /// type ends without one; if its length was announced, the server notices.
    pub struct GateBody<B> {
        #[pin]
        kind: BodyKind<B>,
    }
}

pin_project! {
    #[project = Projected]
    enum BodyKind<B> {
        Inner { #[pin] body: B, watch: Option<PermissionWatch> },
        Own { bytes: Option<Bytes> },
    }
}

impl<B> GateBody<B> {
    pub(crate) fn own(bytes: Bytes) -> Self {
        Self { kind: BodyKind::Own { bytes: (!bytes.is_empty()).then_some(bytes) } }
    }

    pub(super) fn inner(body: B) -> Self {
        Self { kind: BodyKind::Inner { body, watch: None } }
    }

    /// The inner body while its permission holds.
    pub(super) fn inner_while(body: B, watch: PermissionWatch) -> Self {
        Self { kind: BodyKind::Inner { body, watch: Some(watch) } }
    }
}

impl<B: Body<Data = Bytes>> Body for GateBody<B>
where
    B::Error: 'static,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut kind = self.project().kind;
        match kind.as_mut().project() {
            Projected::Inner { body, watch: None } => body.poll_frame(cx),
            Projected::Inner { body, watch: Some(watch) } => {
                let over = watch.has_ended();
                let polled = if over { Poll::Pending } else { body.poll_frame(cx) };
                let over = over
                    || match &polled {
                        Poll::Pending => watch.poll_ended(cx),
                        Poll::Ready(Some(Ok(_))) => watch.record_frame(cx),
                        Poll::Ready(_) => false,
                    };
                if !over {
                    return polled;
                }
                let error = error_of(watch);
                // Drops the inner body at once.
                kind.set(BodyKind::Own { bytes: None });
                Poll::Ready(error.map(Err))
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
            BodyKind::Inner { body, .. } => body.size_hint(),
            BodyKind::Own { bytes } => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}

/// The end of a body as an error of the inner body, if its type is one of those that take any
/// error.
fn error_of<E: 'static>(watch: &PermissionWatch) -> Option<E> {
    type Boxed = Box<dyn Error + Send + Sync>;
    let mut error: Option<E> = None;
    let slot: &mut dyn Any = &mut error;
    if let Some(slot) = slot.downcast_mut::<Option<Boxed>>() {
        *slot = Some(watch.error());
    } else if let Some(slot) = slot.downcast_mut::<Option<io::Error>>() {
        *slot = Some(io::Error::other(watch.error()));
    }
    #[cfg(feature = "axum")]
    if let Some(slot) = slot.downcast_mut::<Option<axum_core::Error>>() {
        *slot = Some(axum_core::Error::new(watch.error()));
    }
    error
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
