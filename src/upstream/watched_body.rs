//! A long response body, closed by a task of its own when it is idle for too long or its
//! permission ends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use tokio::task::AbortHandle;

use super::leased_body::{LeasedBody, ResponseBodyError};
use super::stall_detector::StallDetector;
use crate::gate::Grant;

/// A body that is closed even if nothing polls it, as when the client has stopped
/// reading.
#[derive(Debug)]
pub(super) struct WatchedBody {
    shared: Arc<Shared>,
    watcher: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    body: Mutex<State>,
    reader: AtomicWaker,
    stall_detector: Arc<StallDetector>,
}

#[derive(Debug)]
enum State {
    Open(LeasedBody),
    Stalled,
    PermissionEnded,
}

impl WatchedBody {
    /// Spawns the task that closes `body` once no data has moved for `limit`, or `grant`
    /// has ended. `upload` is the detector of the request body, which counts as well.
    pub(super) fn spawn(
        body: LeasedBody,
        limit: Duration,
        upload: Option<Arc<StallDetector>>,
        grant: Grant,
    ) -> Self {
        let stall_detector = upload.unwrap_or_else(|| Arc::new(StallDetector::new(grant)));
        stall_detector.record_progress();
        let shared = Arc::new(Shared {
            body: Mutex::new(State::Open(body)),
            reader: AtomicWaker::new(),
            stall_detector,
        });
        let watched = Arc::clone(&shared);
        let watcher = tokio::spawn(async move {
            let closed = tokio::select! {
                biased;
                () = watched.stall_detector.grant().permission_ended() => State::PermissionEnded,
                () = watched.stall_detector.stalled(limit) => {
                    tracing::info!("closed a response that was idle for timeouts.stream");
                    State::Stalled
                }
            };
            // Not within the lock: closing the connection wakes others.
            let open = std::mem::replace(&mut *watched.body(), closed);
            drop(open);
            watched.reader.wake();
        });
        Self { shared, watcher: watcher.abort_handle() }
    }

    pub(super) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        self.shared.reader.register(cx.waker());
        let mut state = self.shared.body();
        let polled = match &mut *state {
            State::Open(body) => body.poll_frame(cx),
            State::Stalled => return Poll::Ready(Some(Err(ResponseBodyError::Stalled))),
            State::PermissionEnded => return Poll::Ready(Some(Err(ResponseBodyError::ended()))),
        };
        if polled.is_ready() {
            self.shared.stall_detector.record_progress();
        }
        polled
    }

    pub(super) fn is_end_stream(&self) -> bool {
        matches!(&*self.shared.body(), State::Open(body) if body.is_end_stream())
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        match &*self.shared.body() {
            State::Open(body) => body.size_hint(),
            State::Stalled | State::PermissionEnded => SizeHint::default(),
        }
    }
}

impl Shared {
    fn body(&self) -> MutexGuard<'_, State> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.watcher.abort();
        // The aborted task holds `shared` until it is next polled.
        let open = std::mem::replace(&mut *self.shared.body(), State::Stalled);
        drop(open);
    }
}
