//! The stream below hyper's HTTP/1 server: what hyper cannot be told to do otherwise.
//!
//! It encodes targets that the URI parser refuses, gives the answers that hyper sends to
//! what it cannot parse a body and a log line, and detects that a client has gone while its
//! request is in flight.

use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::connection_state::{ConnectionState, Phase};
use super::rejection::Rejection;
use super::request_line::RequestLine;

/// How long a request goes on after its client has closed its side. A client that closes
/// its side together with the request only says that it sends no more (a half-close, which
/// TCP cannot tell from a close), and gets its answer whenever it comes. One that closes it
/// later has probably gone.
const GRACE_AFTER_CLOSE: Duration = Duration::from_millis(500);
/// How much is read ahead while a request is in flight.
const READ_AHEAD: usize = 1024;

/// A stream for HTTP/1.
pub(super) struct Http1Stream<S> {
    stream: S,
    state: Arc<ConnectionState>,
    client: Option<IpAddr>,
    /// Received, and not inspected yet.
    received: BytesMut,
    /// Inspected, for hyper to read.
    inspected: BytesMut,
    /// The request line of the present head has been inspected.
    line_passed: bool,
    /// The start of the fields of the present head, for the form of a rejection.
    start: HeadStart,
    /// What is sent instead of an answer of hyper's own.
    answer: Bytes,
    /// How many requests there were when their responses had been sent.
    answered: u32,
    end: End,
}

/// The end of what the client sends.
enum End {
    /// More may come. `waited`: nothing was there since the last bytes.
    Open { waited: bool },
    /// The client has closed its side.
    Closed,
    /// The same, some time after its request: it has probably gone.
    Going(Pin<Box<Sleep>>),
}

/// The first bytes of the fields of a head. Browsers send `Accept` among them. Copying these
/// for each request costs a tenth of searching the whole head.
struct HeadStart {
    bytes: [u8; 512],
    length: usize,
}

impl HeadStart {
    fn new() -> Self {
        Self { bytes: [0; 512], length: 0 }
    }

    fn clear(&mut self) {
        self.length = 0;
    }

    fn extend(&mut self, bytes: &[u8]) {
        let free = self.bytes.get_mut(self.length..).unwrap_or_default();
        for (slot, byte) in free.iter_mut().zip(bytes) {
            *slot = *byte;
        }
        self.length += free.len().min(bytes.len());
    }

    /// Whether the client accepts a page.
    fn wants_page(&self) -> bool {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        memchr::memmem::find(bytes, b"text/html").is_some()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http1Stream<S> {
    pub(super) fn new(stream: S, state: Arc<ConnectionState>, client: Option<IpAddr>) -> Self {
        Self {
            stream,
            state,
            client,
            received: BytesMut::new(),
            inspected: BytesMut::new(),
            line_passed: false,
            start: HeadStart::new(),
            answer: Bytes::new(),
            answered: 0,
            end: End::Open { waited: false },
        }
    }

    /// Reads into `buffer`; records the end.
    fn poll_receive(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        let before = buffer.filled().len();
        if !matches!(self.end, End::Open { .. }) {
            return Poll::Ready(Ok(0));
        }
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let count = buffer.filled().len() - before;
        self.end = if count == 0 { End::Closed } else { End::Open { waited: false } };
        Poll::Ready(Ok(count))
    }

    /// Notes what is needed of the bytes of a head, and inspects its first line. `true`: the
    /// bytes may pass.
    fn inspect(&mut self, bytes: &[u8]) -> bool {
        let mut fields = bytes;
        if !self.line_passed {
            match RequestLine::inspect(bytes) {
                RequestLine::Incomplete => {
                    self.received = BytesMut::from(bytes);
                    return false;
                }
                RequestLine::AsSent => {}
                RequestLine::RawFragment => self.state.set_raw_fragment(),
                RequestLine::Encoded(encoded) => self.inspected = encoded,
            }
            self.line_passed = true;
            self.start.clear();
            let line = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
            fields = bytes.get(line..).unwrap_or_default();
        }
        self.start.extend(fields);
        self.inspected.is_empty()
    }

    /// The same for bytes that are held; `true`: there is something to read.
    fn inspect_held(&mut self, held: BytesMut) -> bool {
        if self.inspect(&held) {
            self.inspected = held;
        }
        !self.inspected.is_empty()
    }

    /// Receives a part of a head: into `buffer` (`true`), or to be read from `inspected`, which
    /// is empty at the end.
    fn poll_head(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        while self.inspected.is_empty() {
            if self.state.phase() == Phase::Idle {
                self.line_passed = false;
            }
            let before = buffer.filled().len();
            let held = std::mem::take(&mut self.received);
            if !held.is_empty() && self.state.phase() != Phase::Headers {
                // Read ahead, so that hyper has not seen it.
                self.state.received();
                if self.inspect_held(held) {
                    return Poll::Ready(Ok(false));
                }
                continue;
            }
            let count = match self.poll_receive(cx, buffer) {
                Poll::Pending => {
                    self.received = held;
                    return Poll::Pending;
                }
                Poll::Ready(read) => read?,
            };
            if count == 0 {
                // An unfinished line, which hyper refuses; or the end.
                self.inspected = held;
                return Poll::Ready(Ok(false));
            }
            let read = buffer.filled().get(before..).unwrap_or_default();
            if held.is_empty() {
                if self.inspect(read) {
                    return Poll::Ready(Ok(true));
                }
                buffer.set_filled(before);
                continue;
            }
            let mut joined = held;
            joined.extend_from_slice(read);
            buffer.set_filled(before);
            if self.inspect_held(joined) {
                return Poll::Ready(Ok(false));
            }
        }
        Poll::Ready(Ok(false))
    }

    /// Receives a part of a body, or of what goes through a tunnel.
    fn poll_body(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.received.is_empty() {
            return self.poll_receive(cx, buffer).map_ok(drop);
        }
        let count = self.received.len().min(buffer.remaining());
        buffer.put_slice(&self.received.split_to(count));
        // What was read ahead is little. Alone, it would make each read of an upload small.
        if self.received.is_empty()
            && buffer.remaining() > 0
            && let Poll::Ready(Err(_)) = self.poll_receive(cx, buffer)
        {
            self.end = End::Closed;
        }
        Poll::Ready(Ok(()))
    }

    /// Looks whether the client is still there, while it waits for a response: hyper reads
    /// no more then, and would take the end of a half-closed connection for an error.
    fn watch(&mut self, cx: &mut Context<'_>) {
        if self.received.is_empty() && self.inspected.is_empty() {
            let waited = matches!(self.end, End::Open { waited: true });
            let mut bytes = [const { MaybeUninit::uninit() }; READ_AHEAD];
            let mut buffer = ReadBuf::uninit(&mut bytes);
            match self.poll_receive(cx, &mut buffer) {
                Poll::Pending => self.end = End::Open { waited: true },
                Poll::Ready(Ok(0)) if waited => {
                    self.end = End::Going(Box::pin(tokio::time::sleep(GRACE_AFTER_CLOSE)));
                }
                Poll::Ready(Ok(_)) => self.received.extend_from_slice(buffer.filled()),
                // TLS without its closing alert: the other direction may still be open.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.end = End::Going(Box::pin(tokio::time::sleep(GRACE_AFTER_CLOSE)));
                }
                Poll::Ready(Err(error)) => self.leave(&error),
            }
        }
        if let End::Going(grace) = &mut self.end
            && grace.as_mut().poll(cx).is_ready()
        {
            self.end = End::Closed;
            self.leave(&"it closed the connection");
        }
    }

    /// Ends the request in flight, and the connection.
    fn leave(&self, reason: &dyn std::fmt::Display) {
        tracing::debug!(%reason, "a client did not wait for its response");
        self.state.close_signal().abort();
    }

    /// The rejection, if `bytes` are an answer of hyper's own: every request that was parsed
    /// has had its response.
    fn rejection(&self, bytes: &[u8]) -> Option<Rejection> {
        let status = bytes.strip_prefix(b"HTTP/1.1 ")?.get(..3)?;
        Rejection::of_hyper(status).filter(|_| self.state.requests() == self.answered)
    }

    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.answer.is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.answer))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.answer.advance(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Http1Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.inspected.is_empty() && matches!(this.state.phase(), Phase::Busy | Phase::Tunnel) {
            // The body of a request, or a tunnel.
            return this.poll_body(cx, buffer);
        }
        if ready!(this.poll_head(cx, buffer))? {
            return Poll::Ready(Ok(()));
        }
        let count = this.inspected.len().min(buffer.remaining());
        buffer.put_slice(&this.inspected.split_to(count));
        if this.inspected.is_empty() {
            // Frees the buffer.
            this.inspected = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Http1Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(rejection) = self.rejection(bytes) {
            self.answer = rejection.http1_answer(self.start.wants_page(), self.client);
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [only] = slices
            && let Some(rejection) = self.rejection(only)
        {
            self.answer = rejection.http1_answer(self.start.wants_page(), self.client);
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        ready!(this.poll_answer(cx))?;
        let flushed = Pin::new(&mut this.stream).poll_flush(cx);
        // hyper flushes whenever it is polled, after it has written all that it has.
        if this.state.phase() == Phase::Busy {
            this.watch(cx);
        } else if flushed.is_ready() {
            this.answered = this.state.requests();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
