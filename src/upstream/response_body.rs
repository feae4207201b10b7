//! The response body on its way to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::endpoint::InFlightGuard;
use super::idle_timer::IdleTimer;
use super::lease::Lease;
use super::leased_body::{LeasedBody, ResponseBodyError};
use super::stall_detector::StallDetector;
use super::watched_body::WatchedBody;

/// The response body on its way to the client.
#[derive(Debug)]
pub struct ResponseBody {
    kind: Kind,
    /// Held until the body is complete.
    in_flight: Option<InFlightGuard>,
}

/// A response is moved often until hyper's server has it, so what is large is boxed.
#[derive(Debug)]
enum Kind {
    /// From the upstream; the idle timer runs while it is polled.
    Incoming(Box<Polled>),
    /// From the upstream; a task closes it when it is idle.
    Watched(WatchedBody),
    Whole(Option<Bytes>),
}

#[derive(Debug)]
struct Polled {
    body: LeasedBody,
    idle_timer: IdleTimer,
}

impl ResponseBody {
    pub(super) fn incoming(body: Incoming, lease: Lease) -> Self {
        let idle_timer = IdleTimer::new(Duration::MAX, None, false);
        let polled = Polled { body: LeasedBody::new(body, lease), idle_timer };
        Self { kind: Kind::Incoming(Box::new(polled)), in_flight: None }
    }

    pub(super) fn empty() -> Self {
        Self { kind: Kind::Whole(None), in_flight: None }
    }

    /// A body that does not come from the upstream.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { kind: Kind::Whole((!bytes.is_empty()).then_some(bytes)), in_flight: None }
    }

    /// Ends the body after `length` bytes, and closes its connection.
    pub(super) fn with_length(mut self, length: u64) -> Self {
        if let Kind::Incoming(polled) = &mut self.kind {
            polled.body.end_after(length);
        }
        self
    }

    /// Holds `in_flight` until the body is complete.
    pub(super) fn with_in_flight(mut self, in_flight: Option<InFlightGuard>) -> Self {
        self.in_flight = in_flight.filter(|_| !self.is_end_stream());
        self
    }

    /// Closes the body once it is idle for `limit`. `upload` is the detector of the
    /// request body, if there is one. `flow_controlled`: the client speaks HTTP/2 and
    /// can stop reading after the first frame; with HTTP/1.1 the server takes more.
    pub(super) fn set_idle_timeout(
        &mut self,
        limit: Duration,
        upload: Option<Arc<StallDetector>>,
        flow_controlled: bool,
    ) {
        if let Kind::Incoming(polled) = &mut self.kind {
            polled.idle_timer = IdleTimer::new(limit, upload, flow_controlled);
        }
    }

    /// Moves the body to a task that closes it when it is idle. Short responses never
    /// get here: the task's wake-ups cost more than the rest of the request.
    fn watch(&mut self) {
        let Kind::Incoming(polled) = std::mem::replace(&mut self.kind, Kind::Whole(None)) else {
            return;
        };
        let Polled { body, idle_timer } = *polled;
        let (limit, upload) = idle_timer.into_parts();
        self.kind = Kind::Watched(WatchedBody::spawn(body, limit, upload));
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
            Kind::Incoming(incoming) => match incoming.body.poll_frame(cx) {
                Poll::Pending if incoming.idle_timer.is_expired(cx) => {
                    incoming.body.close();
                    Poll::Ready(Some(Err(ResponseBodyError::Stalled)))
                }
                polled => {
                    if let Poll::Ready(Some(Ok(frame))) = &polled
                        && incoming.idle_timer.record(frame)
                        && !incoming.body.is_end_stream()
                    {
                        this.watch();
                    }
                    polled
                }
            },
            Kind::Watched(body) => body.poll_frame(cx),
        };
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.in_flight = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Incoming(incoming) => incoming.body.is_end_stream(),
            Kind::Watched(body) => body.is_end_stream(),
            Kind::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Incoming(incoming) => incoming.body.size_hint(),
            Kind::Watched(body) => body.size_hint(),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}
