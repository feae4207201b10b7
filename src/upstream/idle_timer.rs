//! Detects an idle response body while it is being polled.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use super::stall_detector::StallDetector;

/// hyper's server buffers at least this much of a response before it waits for the
/// client: fewer than 16 frames and 400 KiB.
const MAX_FRAMES: usize = 12;
const MAX_BYTES: usize = 256 * 1024;

/// How long a response body may be idle. It runs only while the body is polled, which
/// is enough as long as the server takes every frame at once: for a short response, or
/// one whose next frame is awaited.
#[derive(Debug)]
pub(super) struct IdleTimer {
    limit: Duration,
    /// The request body, which may move while the response does not.
    upload: Option<Arc<StallDetector>>,
    /// An HTTP/2 client can stop reading after the first frame.
    flow_controlled: bool,
    frames: usize,
    bytes: usize,
    /// Started by the first poll that finds nothing, with the time of the last frame.
    /// Reset only after it has run out.
    sleep: Option<(Pin<Box<Sleep>>, Instant)>,
}

impl IdleTimer {
    pub(super) fn new(limit: Duration, upload: Option<Arc<StallDetector>>, flow_controlled: bool) -> Self {
        Self { limit, upload, flow_controlled, frames: 0, bytes: 0, sleep: None }
    }

    /// The limit, and the detector of the request body.
    pub(super) fn into_parts(self) -> (Duration, Option<Arc<StallDetector>>) {
        (self.limit, self.upload)
    }

    /// Records a frame. `true`: so much has passed that a client with full buffers may
    /// stop reading, and then nothing polls this timer any more.
    pub(super) fn record(&mut self, frame: &Frame<Bytes>) -> bool {
        self.frames += 1;
        self.bytes = self.bytes.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if let Some((_, last_frame)) = &mut self.sleep {
            *last_frame = Instant::now();
        }
        self.flow_controlled || self.frames >= MAX_FRAMES || self.bytes >= MAX_BYTES
    }

    /// Whether no data has moved for longer than the limit.
    pub(super) fn is_expired(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit;
        let (sleep, last_frame) =
            self.sleep.get_or_insert_with(|| (Box::pin(tokio::time::sleep(limit)), Instant::now()));
        while let Poll::Ready(()) = sleep.as_mut().poll(cx) {
            let upload = self.upload.as_ref().map(|upload| upload.deadline(limit));
            let deadline = upload.max(Some(*last_frame + limit));
            match deadline.filter(|deadline| *deadline > Instant::now()) {
                Some(deadline) => sleep.as_mut().reset(deadline),
                None => return true,
            }
        }
        false
    }
}
