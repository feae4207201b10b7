//! The stream below hyper's HTTP/2 server, with the header blocks that h2 can take.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::header_filter::{HeaderFilter, Step};

/// How much is received at once while a header block is incomplete.
const READ: usize = 8 * 1024;

/// A stream for HTTP/2. What passes the filter is read into h2's own buffer.
pub(super) struct Http2Stream<S> {
    stream: S,
    filter: HeaderFilter,
    /// Received, and not filtered yet.
    received: BytesMut,
    /// Filtered, for h2 to read.
    filtered: BytesMut,
}

impl<S: AsyncRead + Unpin> Http2Stream<S> {
    /// `max_header_list`: the longest header list that h2 takes.
    pub(super) fn new(stream: S, max_header_list: usize) -> Self {
        let filter = HeaderFilter::new(max_header_list);
        Self { stream, filter, received: BytesMut::new(), filtered: BytesMut::new() }
    }

    /// Reads into `buffer`, and leaves there what passes: the common case.
    fn poll_pass(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let mut rest = buffer.filled().get(before..).unwrap_or_default();
        let mut passed = before;
        while !rest.is_empty() {
            let step = self.filter.step(rest, &mut self.filtered);
            let count = match step {
                Step::Pass(count) | Step::Replace(count) => count,
                Step::Incomplete => 0,
            };
            rest = rest.get(count..).unwrap_or_default();
            if let Step::Pass(count) = step {
                passed += count;
                continue;
            }
            self.received.extend_from_slice(rest);
            break;
        }
        buffer.set_filled(passed);
        Poll::Ready(Ok(()))
    }

    /// Filters what was received; receives more if that does not suffice. `false`: the end.
    fn poll_filter(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self.filter.step(&self.received, &mut self.filtered) {
            Step::Pass(count) => self.filtered.unsplit(self.received.split_to(count)),
            Step::Replace(count) => self.received.advance(count),
            Step::Incomplete => {
                let mut bytes = [const { MaybeUninit::uninit() }; READ];
                let mut buffer = ReadBuf::uninit(&mut bytes);
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
                self.received.extend_from_slice(buffer.filled());
                return Poll::Ready(Ok(!buffer.filled().is_empty()));
            }
        }
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Http2Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        while this.filtered.is_empty() {
            if this.received.is_empty() {
                ready!(this.poll_pass(cx, buffer))?;
                let is_end = this.received.is_empty() && this.filtered.is_empty();
                if is_end || buffer.filled().len() > before {
                    return Poll::Ready(Ok(()));
                }
            } else if !ready!(this.poll_filter(cx))? {
                // In the middle of a frame, which h2 tells.
                std::mem::swap(&mut this.filtered, &mut this.received);
            }
        }
        let count = this.filtered.len().min(buffer.remaining());
        buffer.put_slice(&this.filtered.split_to(count));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Http2Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
