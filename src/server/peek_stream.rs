//! A stream whose first bytes can be inspected before they are read.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much is received at once, as in hyper: the head of nearly every request.
const READ: usize = 8 * 1024;

/// A stream that replays the bytes that were peeked.
#[derive(Debug)]
pub(super) struct PeekStream<S> {
    stream: S,
    peeked: BytesMut,
}

impl<S: AsyncRead + Unpin> PeekStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, peeked: BytesMut::new() }
    }

    /// The bytes that were received and not read yet.
    pub(super) fn peeked(&self) -> &[u8] {
        &self.peeked
    }

    /// Receives more bytes to peek at, and returns how many; 0 is the end.
    pub(super) async fn peek_more(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| {
            // On the stack, so that a client that sends nothing costs no buffer.
            let mut bytes = [const { MaybeUninit::uninit() }; READ];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            self.peeked.extend_from_slice(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        })
        .await
    }

    /// Drops the first `count` peeked bytes.
    pub(super) fn consume(&mut self, count: usize) {
        self.peeked.advance(count.min(self.peeked.len()));
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PeekStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.peeked.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = self.peeked.len().min(buffer.remaining());
        buffer.put_slice(&self.peeked.split_to(count));
        if self.peeked.is_empty() {
            // Frees the buffer.
            self.peeked = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PeekStream<S> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_head_is_peeked_in_one_read_and_replayed() {
        let head = [b'x'; 5_000];
        let mut stream = PeekStream::new(&head[..]);
        assert_eq!(stream.peek_more().await.unwrap(), head.len());
        stream.consume(1_000);
        let mut read = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut read).await.unwrap();
        assert_eq!(read, head[1_000..]);
    }
}
