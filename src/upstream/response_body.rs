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
use crate::gate::{Grant, PermissionWatch};

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
    /// From the upstream; the idle timer runs, and the permission is observed, while it is
    /// polled.
    Incoming(Box<Polled>),
    /// From the upstream; a task closes it when it is idle or its permission ends.
    Watched(WatchedBody),
    Whole(Option<Bytes>),
}

#[derive(Debug)]
struct Polled {
    body: LeasedBody,
    idle_timer: IdleTimer,
    watch: Option<PermissionWatch>,
}

impl ResponseBody {
    pub(super) fn incoming(body: Incoming, lease: Lease) -> Self {
        let idle_timer = IdleTimer::new(Duration::MAX, None, false);
        let polled = Polled { body: LeasedBody::new(body, lease), idle_timer, watch: None };
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

    /// Closes the body once `grant` has ended.
    pub(super) fn set_grant(&mut self, grant: &Grant) {
        if let Kind::Incoming(polled) = &mut self.kind
            && !polled.body.is_end_stream()
        {
            polled.watch = Some(PermissionWatch::new(grant.clone()));
        }
    }

    /// Moves the body to a task that closes it when it is idle. Short responses never
    /// get here: the task's wake-ups cost more than the rest of the request.
    fn watch(&mut self) {
        match std::mem::replace(&mut self.kind, Kind::Whole(None)) {
            Kind::Incoming(polled) => match *polled {
                Polled { body, idle_timer, watch: Some(watch) } => {
                    let (limit, upload) = idle_timer.into_parts();
                    let grant = watch.into_grant();
                    self.kind = Kind::Watched(WatchedBody::spawn(body, limit, upload, grant));
                }
                unwatched @ Polled { watch: None, .. } => self.kind = Kind::Incoming(Box::new(unwatched)),
            },
            other @ (Kind::Watched(_) | Kind::Whole(_)) => self.kind = other,
        }
    }

    fn poll_incoming(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        let Kind::Incoming(polled) = &mut self.kind else { return Poll::Ready(None) };
        let Polled { body, idle_timer, watch } = &mut **polled;
        let cut = |body: &mut LeasedBody| {
            body.close();
            Poll::Ready(Some(Err(ResponseBodyError::ended())))
        };
        if watch.as_ref().is_some_and(PermissionWatch::has_ended) {
            return cut(body);
        }
        let polled = body.poll_frame(cx);
        match &polled {
            Poll::Pending if idle_timer.is_expired(cx) => {
                body.close();
                return Poll::Ready(Some(Err(ResponseBodyError::Stalled)));
            }
            Poll::Pending if watch.as_mut().is_some_and(|watch| watch.poll_ended(cx)) => return cut(body),
            Poll::Ready(Some(Ok(frame))) if !body.is_end_stream() => {
                if watch.as_mut().is_some_and(|watch| watch.record_frame(cx)) {
                    return cut(body);
                }
                if idle_timer.record(frame) {
                    self.watch();
                }
            }
            Poll::Pending | Poll::Ready(_) => {}
        }
        polled
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
            Kind::Incoming(..) => this.poll_incoming(cx),
            Kind::Watched(body) => body.poll_frame(cx),
        };
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.in_flight = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Incoming(polled) => polled.body.is_end_stream(),
            Kind::Watched(body) => body.is_end_stream(),
            Kind::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Incoming(polled) => polled.body.size_hint(),
            Kind::Watched(body) => body.size_hint(),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}
