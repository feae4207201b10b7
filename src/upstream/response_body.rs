//! A response's body on its way to the client.
//!
//! When it is over, its connection goes back to the pool; when the client leaves
//! before that, the connection is closed, and the app learns of it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

use super::cluster::InFlightGuard;
use super::pool::Lease;
use super::stall_detector::StallDetector;

/// hyper's server takes at least so much of a response before it waits for the
/// client: less than 16 pieces and 400 KiB.
const MOST_PIECES: usize = 12;
const MOST_BYTES: usize = 256 * 1024;

/// A response's body on its way to the client.
#[derive(Debug)]
pub struct ResponseBody {
    kind: Kind,
    /// Counts as under way until it is over.
    in_flight: Option<InFlightGuard>,
}

#[derive(Debug)]
enum Kind {
    /// As it comes.
    Incoming(Live, IdleTimer),
    /// The same, with somebody who notices when nothing moves.
    Watched(Watched),
    Whole(Option<Bytes>),
}

#[derive(Debug)]
struct Live {
    body: Incoming,
    lease: Option<Lease>,
}

/// How long a stream may stand still, as long as it is looked at here. That is
/// enough while whatever comes is taken: a response that is short, or waited for.
#[derive(Debug)]
struct IdleTimer {
    limit: Duration,
    /// Shared with the request's body, if that moves too.
    stall_detector: Option<Arc<StallDetector>>,
    /// After the first piece, a client with HTTP/2 can let the rest wait.
    soon: bool,
    pieces: usize,
    bytes: usize,
    /// Runs from the first wait on; when something moved after that, it is set again.
    sleep: Option<(Pin<Box<Sleep>>, Instant)>,
}

#[derive(Debug)]
struct Watched {
    stream: Arc<Stream>,
    watcher: AbortHandle,
}

#[derive(Debug)]
struct Stream {
    /// `None`: it stood still for too long and was cut.
    live: Mutex<Option<Live>>,
    reader: AtomicWaker,
    stall_detector: Arc<StallDetector>,
}

/// Why a response ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseBodyError {
    /// The app went away, or broke the framing.
    #[error(transparent)]
    Upstream(#[from] hyper::Error),
    /// Nothing moved for longer than `timeouts.stream`.
    #[error("nothing moved for longer than timeouts.stream")]
    Stalled,
}

impl ResponseBody {
    pub(super) fn incoming(body: Incoming, lease: Lease) -> Self {
        let mut live = Live { body, lease: Some(lease) };
        live.give_back_if_over();
        let idle_timer = IdleTimer::new(Duration::MAX, None, false);
        Self { kind: Kind::Incoming(live, idle_timer), in_flight: None }
    }

    pub(super) fn empty() -> Self {
        Self { kind: Kind::Whole(None), in_flight: None }
    }

    /// A body of our own.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { kind: Kind::Whole((!bytes.is_empty()).then_some(bytes)), in_flight: None }
    }

    /// Counts `flight` as under way until this is over.
    pub(super) fn with_in_flight(mut self, in_flight: Option<InFlightGuard>) -> Self {
        self.in_flight = in_flight.filter(|_| !self.is_end_stream());
        self
    }

    /// Cuts it when it stands still for `limit`. `progress` is that of the request's
    /// body, if it has one. `soon`: from the first piece on, after which a client
    /// with HTTP/2 can let the rest wait; with HTTP/1.1 more is taken in any case.
    pub(super) fn watched(
        mut self,
        limit: Duration,
        stall_detector: Option<Arc<StallDetector>>,
        soon: bool,
    ) -> Self {
        if let Kind::Incoming(_, idle_timer) = &mut self.kind {
            *idle_timer = IdleTimer::new(limit, stall_detector, soon);
        }
        self
    }

    /// From here on a task looks whether it moves. What is short never gets here: a
    /// task wakes another thread, which costs more than all else that is done here.
    fn watch(&mut self) {
        let Kind::Incoming(live, idle_timer) = std::mem::replace(&mut self.kind, Kind::Whole(None)) else {
            return;
        };
        let IdleTimer { limit, stall_detector, .. } = idle_timer;
        let stall_detector = stall_detector.unwrap_or_else(|| Arc::new(StallDetector::new()));
        stall_detector.note();
        let stream =
            Arc::new(Stream { live: Mutex::new(Some(live)), reader: AtomicWaker::new(), stall_detector });
        let watched = Arc::clone(&stream);
        let watcher = tokio::spawn(async move {
            watched.stall_detector.stalled(limit).await;
            tracing::info!("a stream on which nothing moved for timeouts.stream was cut");
            drop(watched.live().take());
            watched.reader.wake();
        });
        self.kind = Kind::Watched(Watched { stream, watcher: watcher.abort_handle() });
    }
}

impl IdleTimer {
    fn new(limit: Duration, stall_detector: Option<Arc<StallDetector>>, soon: bool) -> Self {
        Self { limit, stall_detector, soon, pieces: 0, bytes: 0, sleep: None }
    }

    /// Notes a piece that passed. `true`: enough has for a client with full buffers
    /// to leave the next one where it is, and then nobody looks here.
    fn passed(&mut self, frame: &Frame<Bytes>) -> bool {
        self.pieces += 1;
        self.bytes = self.bytes.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if let Some((_, moved)) = &mut self.sleep {
            *moved = Instant::now();
        }
        self.soon || self.pieces >= MOST_PIECES || self.bytes >= MOST_BYTES
    }

    /// Whether nothing has moved for too long.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit;
        let (sleep, moved) =
            self.sleep.get_or_insert_with(|| (Box::pin(tokio::time::sleep(limit)), Instant::now()));
        while sleep.as_mut().poll(cx).is_ready() {
            let due = self
                .stall_detector
                .as_ref()
                .map(|stall_detector| stall_detector.due(limit))
                .max(Some(*moved + limit));
            match due.filter(|due| *due > Instant::now()) {
                Some(due) => sleep.as_mut().reset(due),
                None => return true,
            }
        }
        false
    }
}

impl Stream {
    fn live(&self) -> MutexGuard<'_, Option<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_frame(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        self.reader.register(cx.waker());
        let mut live = self.live();
        let Some(live) = &mut *live else { return Poll::Ready(Some(Err(ResponseBodyError::Stalled))) };
        let polled = live.poll_frame(cx);
        if polled.is_ready() {
            self.stall_detector.note();
        }
        polled
    }
}

impl Live {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(None) => {
                if let Some(lease) = self.lease.take() {
                    lease.give_back();
                }
            }
            Poll::Ready(Some(Err(_))) => drop(self.lease.take()),
            Poll::Ready(Some(Ok(_))) => self.give_back_if_over(),
        }
        polled.map_err(ResponseBodyError::from)
    }

    fn give_back_if_over(&mut self) {
        if self.body.is_end_stream()
            && let Some(lease) = self.lease.take()
        {
            lease.give_back();
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watcher.abort();
        // The watcher holds the stream until it has noticed.
        drop(self.stream.live().take());
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseBodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let polled = match &mut this.kind {
            Kind::Whole(bytes) => return Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Incoming(live, idle_timer) => {
                let polled = live.poll_frame(cx);
                match &polled {
                    Poll::Pending if idle_timer.is_over(cx) => {
                        drop(live.lease.take());
                        Poll::Ready(Some(Err(ResponseBodyError::Stalled)))
                    }
                    Poll::Ready(Some(Ok(frame))) => {
                        if idle_timer.passed(frame) && !live.body.is_end_stream() {
                            this.watch();
                        }
                        polled
                    }
                    Poll::Pending | Poll::Ready(_) => polled,
                }
            }
            Kind::Watched(watched) => watched.stream.poll_frame(cx),
        };
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.in_flight = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Incoming(live, _) => live.body.is_end_stream(),
            Kind::Watched(watched) => {
                watched.stream.live().as_ref().is_some_and(|live| live.body.is_end_stream())
            }
            Kind::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Incoming(live, _) => live.body.size_hint(),
            Kind::Watched(watched) => {
                watched.stream.live().as_ref().map_or_else(SizeHint::default, |live| live.body.size_hint())
            }
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}
