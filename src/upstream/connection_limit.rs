//! How many connections to one address may be open, over all threads.

use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// Counts what is open. Only those who dial or find nothing free come here; a
/// request on a kept connection does not.
#[derive(Debug, Default)]
pub(super) struct ConnectionLimit {
    open: AtomicUsize,
    /// How many requests wait for something to become free.
    waiting: AtomicUsize,
    freed: Notify,
}

/// Permission for one connection, for as long as it is open.
#[derive(Debug)]
pub(super) struct ConnectionPermit(Arc<ConnectionLimit>);

impl ConnectionLimit {
    /// A place, unless `limit` are taken.
    pub(super) fn take(self: &Arc<Self>, limit: usize) -> Option<ConnectionPermit> {
        let more = |open| (open < limit).then_some(open + 1);
        self.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(ConnectionPermit(Arc::clone(self)))
    }

    /// Something can be used again: whoever waits longest may look.
    pub(super) fn free(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.freed.notify_one();
        }
    }

    /// Waits until `find` finds something, and looks whenever anything is freed.
    pub(super) async fn wait<T>(&self, mut find: impl FnMut() -> Option<T>) -> T {
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(&self.waiting);
        loop {
            // Before the look, so that nothing freed after it is missed.
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(found) = find() {
                return found;
            }
            freed.await;
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        self.0.free();
    }
}

pin_project! {
    /// A connection that holds its place until it is closed, as a tunnel too.
    ///
    /// Where the other side has closed, what is written counts as written: it may
    /// have answered an upload before it was whole, and hyper would not read that
    /// any more after an error. Reading tells of the end.
    pub(super) struct Transport<S> {
        #[pin]
        stream: S,
        _permit: Option<ConnectionPermit>,
    }
}

/// The result of a write of `length` bytes, where an end that reading will tell of
/// is none.
fn unless_closed(written: Poll<std::io::Result<usize>>, length: usize) -> Poll<std::io::Result<usize>> {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    match written {
        Poll::Ready(Err(error)) if matches!(error.kind(), BrokenPipe | ConnectionReset) => {
            Poll::Ready(Ok(length))
        }
        written => written,
    }
}

impl<S> Transport<S> {
    pub(super) fn new(stream: S, permit: Option<ConnectionPermit>) -> Self {
        Self { stream, _permit: permit }
    }
}

impl<S: AsyncRead> AsyncRead for Transport<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.project().stream.poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite> AsyncWrite for Transport<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        unless_closed(self.project().stream.poll_write(cx, bytes), bytes.len())
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        unless_closed(self.project().stream.poll_write_vectored(cx, slices), length)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.project().stream.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.project().stream.poll_shutdown(cx)
    }
}
