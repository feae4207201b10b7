//! The bytes of a connection, and the bodies of its responses, on their way past
//! its [`ConnectionState`].

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Either, Full};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use super::connection_state::ConnectionState;

/// What a client is connected by.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Hands a call on to whichever socket it is.
macro_rules! on_socket {
    ($this:expr, $stream:ident => $call:expr) => {
        match $this.get_mut() {
            Socket::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Socket::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_socket!(self, stream => stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        on_socket!(self, stream => stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_socket!(self, stream => stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_socket!(self, stream => stream.poll_shutdown(cx))
    }
}

/// A stream whose first bytes can be looked at before somebody reads them.
#[derive(Debug)]
pub(super) struct PeekStream<S> {
    stream: S,
    peeked: BytesMut,
}

impl<S: AsyncRead + Unpin> PeekStream<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, peeked: BytesMut::new() }
    }

    /// The bytes that came and were not read yet.
    pub(super) fn peeked(&self) -> &[u8] {
        &self.peeked
    }

    /// Waits for more of them; how many came, 0 at the end.
    pub(super) async fn peek_more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.peeked).await
    }

    /// Takes so many of them out.
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

pin_project! {
    /// A stream that tells its [`ConnectionState`] what passes, and that holds whatever
    /// counts this connection for as long as it lasts, as a tunnel too.
    pub(super) struct ObservedStream<S, H> {
        #[pin]
        stream: S,
        state: Arc<ConnectionState>,
        _held: H,
    }
}

impl<S, H> ObservedStream<S, H> {
    pub(super) fn new(stream: S, state: Arc<ConnectionState>, held: H) -> Self {
        Self { stream, state, _held: held }
    }
}

impl<S: AsyncRead, H> AsyncRead for ObservedStream<S, H> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        ready!(this.stream.poll_read(cx, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            this.state.received(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite, H> AsyncWrite for ObservedStream<S, H> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        let sent = ready!(this.stream.poll_write(cx, bytes))?;
        this.state.sent();
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        let sent = ready!(this.stream.poll_write_vectored(cx, slices))?;
        this.state.sent();
        Poll::Ready(Ok(sent))
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

/// A request from its headers to the end of its response. Dropped before that, it
/// was taken back.
#[derive(Debug)]
pub(super) struct RequestGuard {
    state: Arc<ConnectionState>,
    complete: bool,
}

impl RequestGuard {
    pub(super) fn begin(state: &Arc<ConnectionState>) -> Self {
        state.begin();
        Self { state: Arc::clone(state), complete: false }
    }

    /// Whether its client was told nothing while it waited for 100.
    pub(super) fn told_nothing(&self) -> bool {
        self.state.told_nothing()
    }

    /// The same for a tunnel, which ends when either side wants it to.
    pub(super) fn tunnel(state: &Arc<ConnectionState>) -> Self {
        let mut guard = Self::begin(state);
        guard.complete = true;
        guard
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.state.finish(self.complete);
    }
}

pin_project! {
    /// A response's body; its request is under way until the body is over.
    pub(super) struct TrackedBody<B> {
        #[pin]
        body: B,
        guard: RequestGuard,
    }
}

impl<B: Body> TrackedBody<B> {
    pub(super) fn new(body: B, mut guard: RequestGuard) -> Self {
        guard.complete = body.is_end_stream();
        Self { body, guard }
    }
}

impl<B> TrackedBody<Either<B, Full<Bytes>>> {
    /// What HEAD gets of it.
    pub(super) fn without_body(mut self) -> Self {
        self.guard.complete = true;
        Self { body: Either::Right(Full::default()), guard: self.guard }
    }
}

impl<B: Body<Data = Bytes>> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        this.guard.state.progress();
        this.guard.complete = match &frame {
            None => true,
            // What fails here is not the client's doing.
            Some(Err(_)) => true,
            Some(Ok(_)) => this.body.is_end_stream(),
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
