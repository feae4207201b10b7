//! Response bodies that contradict their headers.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body that ends before its `Content-Length`.
pub(super) struct TruncatedBody {
    /// The announced length.
    promised: u64,
    /// The first half, until it has been sent.
    half: Option<Bytes>,
    /// Whether the connection had a chance to flush.
    flushed: bool,
}

impl TruncatedBody {
    /// The first half of `whole`.
    pub(super) fn new(mut whole: Bytes) -> Self {
        let promised = u64::try_from(whole.len()).unwrap_or(u64::MAX);
        whole.truncate(whole.len() / 2);
        Self { promised, half: Some(whole), flushed: false }
    }
}

impl Body for TruncatedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        // An immediate error would discard data that is written but not flushed yet, including
        // the headers.
        if !self.flushed {
            self.flushed = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

/// A JSON object of any size, generated while it is sent.
pub(super) struct OversizedBody {
    /// The next chunk.
    next: Option<Bytes>,
    /// Bytes of padding left.
    left: u64,
}

impl OversizedBody {
    /// About `size` bytes.
    pub(super) fn new(size: u64) -> Self {
        Self { next: Some(Bytes::from_static(b"{\"padding\":\"")), left: size }
    }
}

impl Body for OversizedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        static FILLING: [u8; 65_536] = [b'a'; 65_536];
        let Some(chunk) = self.next.take() else { return Poll::Ready(None) };
        if self.left > 0 {
            self.left = self.left.saturating_sub(65_536);
            self.next = Some(Bytes::from_static(&FILLING));
        } else if chunk != b"\"}".as_slice() {
            self.next = Some(Bytes::from_static(b"\"}"));
        }
        Poll::Ready(Some(Ok(Frame::data(chunk))))
    }
}
