//! The byte stream below HTTP on a connection to an upstream.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection_limit::ConnectionPermit;

pin_project! {
    /// A stream that holds its connection permit until it is closed, also after it has
    /// become a tunnel.
    ///
    /// Writes to a stream that the upstream has closed report success: the upstream may
    /// have answered an upload early, and hyper does not read that answer after a write
    /// error. The next read reports the end.
    pub(super) struct Transport<S> {
        #[pin]
        stream: S,
        _permit: Option<ConnectionPermit>,
    }
}

impl<S> Transport<S> {
    pub(super) fn new(stream: S, permit: Option<ConnectionPermit>) -> Self {
        Self { stream, _permit: permit }
    }
}

/// The result of writing `length` bytes; a closed connection counts as success.
fn ignore_closed(written: Poll<io::Result<usize>>, length: usize) -> Poll<io::Result<usize>> {
    match written {
        Poll::Ready(Err(error))
            if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) =>
        {
            Poll::Ready(Ok(length))
        }
        written => written,
    }
}

impl<S: AsyncRead> AsyncRead for Transport<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.project().stream.poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite> AsyncWrite for Transport<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ignore_closed(self.project().stream.poll_write(cx, bytes), bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        ignore_closed(self.project().stream.poll_write_vectored(cx, slices), length)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }
}
