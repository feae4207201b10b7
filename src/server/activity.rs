//! What a connection is doing, and for how long it may.
//!
//! hyper's own timer for headers also runs while a connection waits for its next
//! request, so with it the time for headers would be the time for keep-alive
//! too. Here each has its own, and a silent client is cut from the start.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

/// No request yet, or part of one: its headers must come in time.
const HEADERS: u8 = 0;
/// A request is being answered, for as long as it takes.
const BUSY: u8 = 1;
/// Waiting for the next request.
const IDLE: u8 = 2;

/// What one connection is doing.
#[derive(Debug)]
pub(super) struct Activity {
    phase: AtomicU8,
    began: Instant,
    /// Milliseconds from `began` to the last change of phase.
    since: AtomicU64,
    /// The request line that came last has a raw `#` in its target.
    fragment: AtomicBool,
    /// Nothing came on this connection yet.
    untouched: AtomicBool,
    /// The connection's place among those that may be open. The stream holds it
    /// through this, so that a tunnel counts for as long as it lasts.
    _place: Option<OwnedSemaphorePermit>,
}

impl Activity {
    pub(super) fn new(place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            phase: AtomicU8::new(HEADERS),
            began: Instant::now(),
            since: AtomicU64::new(0),
            fragment: AtomicBool::new(false),
            untouched: AtomicBool::new(true),
            _place: place,
        }
    }

    /// When the connection has to be closed if nothing changes until then; never,
    /// while it is busy.
    pub(super) fn due(&self, headers: Duration, idle: Duration) -> Option<Instant> {
        let since = self.began + Duration::from_millis(self.since.load(Ordering::Relaxed));
        match self.phase.load(Ordering::Relaxed) {
            HEADERS => Some(since + headers),
            IDLE => Some(since + idle),
            _ => None,
        }
    }

    /// A request's headers are complete.
    pub(super) fn begin(&self) {
        self.phase.store(BUSY, Ordering::Relaxed);
    }

    /// Its response is over.
    fn finish(&self) {
        self.enter(IDLE);
    }

    /// Whether the request that just came had a raw `#` in its target. The parser
    /// cuts the target there, so this is the only trace of it.
    pub(super) fn take_fragment(&self) -> bool {
        self.fragment.load(Ordering::Relaxed) && self.fragment.swap(false, Ordering::Relaxed)
    }

    /// Bytes came in.
    fn received(&self, bytes: &[u8]) {
        let begins = match self.phase.load(Ordering::Relaxed) {
            BUSY => return,
            IDLE => {
                self.enter(HEADERS);
                true
            }
            _ => self.untouched.load(Ordering::Relaxed),
        };
        self.untouched.store(false, Ordering::Relaxed);
        // Further pieces may begin with any of the headers.
        if begins && has_fragment(bytes) {
            self.fragment.store(true, Ordering::Relaxed);
        }
    }

    /// Bytes went out. While a connection counts as idle these are the rest of a
    /// response that a slow client still takes.
    fn sent(&self) {
        if self.phase.load(Ordering::Relaxed) == IDLE {
            self.enter(IDLE);
        }
    }

    fn enter(&self, phase: u8) {
        let since = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
    }
}

/// Whether `bytes` start with a request line whose target has a raw `#`
/// (RFC 9112, section 3.2, allows none). A line that comes in pieces may pass;
/// then what is judged and what is sent on is the part before the `#`.
fn has_fragment(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    method.iter().all(u8::is_ascii_alphabetic) && memchr::memchr(b'#', target).is_some()
}

pin_project! {
    /// A stream that tells its [`Activity`] what passes.
    pub(super) struct Watched<S> {
        #[pin]
        stream: S,
        activity: Arc<Activity>,
    }
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        ready!(this.stream.poll_read(cx, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            this.activity.received(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let this = self.project();
        let sent = ready!(this.stream.poll_write(cx, bytes))?;
        this.activity.sent();
        Poll::Ready(Ok(sent))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.project();
        let sent = ready!(this.stream.poll_write_vectored(cx, slices))?;
        this.activity.sent();
        Poll::Ready(Ok(sent))
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

pin_project! {
    /// A response's body; when it is dropped, the connection is idle.
    pub(super) struct Tracked<B> {
        #[pin]
        body: B,
        end: End,
    }
}

struct End(Arc<Activity>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl<B> Tracked<B> {
    pub(super) fn new(body: B, activity: Arc<Activity>) -> Self {
        Self { body, end: End(activity) }
    }
}

impl<B: Body<Data = Bytes>> Body for Tracked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_line_with_a_raw_fragment_counts() {
        assert!(has_fragment(b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(has_fragment(b"GET /a#b"));
        assert!(!has_fragment(b"GET /a%23b HTTP/1.1\r\nX: #\r\n\r\n"));
        assert!(!has_fragment(b"User-Agent: C#\r\n\r\n"));
        assert!(!has_fragment(b"# a comment in an upload"));
    }
}
