//! A long response body, closed by a task of its own when it is idle for too long.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use tokio::task::AbortHandle;

use super::leased_body::{LeasedBody, ResponseBodyError};
use super::stall_detector::StallDetector;

/// A body that is closed even if nothing polls it, as when the client has stopped
/// reading.
#[derive(Debug)]
pub(super) struct WatchedBody {
    shared: Arc<Shared>,
    watcher: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    /// `None` once the watcher has closed it.
    body: Mutex<Option<LeasedBody>>,
    reader: AtomicWaker,
    stall_detector: Arc<StallDetector>,
}

impl WatchedBody {
    /// Spawns the task that closes `body` once no data has moved for `limit`. `upload`
    /// is the detector of the request body, which counts as well.
    pub(super) fn spawn(body: LeasedBody, limit: Duration, upload: Option<Arc<StallDetector>>) -> Self {
        let stall_detector = upload.unwrap_or_else(|| Arc::new(StallDetector::new()));
        stall_detector.record_progress();
        let shared =
            Arc::new(Shared { body: Mutex::new(Some(body)), reader: AtomicWaker::new(), stall_detector });
        let watched = Arc::clone(&shared);
        let watcher = tokio::spawn(async move {
            watched.stall_detector.stalled(limit).await;
            tracing::info!("closed a response that was idle for timeouts.stream");
            drop(watched.body().take());
            watched.reader.wake();
        });
        Self { shared, watcher: watcher.abort_handle() }
    }

    pub(super) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        self.shared.reader.register(cx.waker());
        let mut body = self.shared.body();
        let Some(body) = &mut *body else { return Poll::Ready(Some(Err(ResponseBodyError::Stalled))) };
        let polled = body.poll_frame(cx);
        if polled.is_ready() {
            self.shared.stall_detector.record_progress();
        }
        polled
    }

    pub(super) fn is_end_stream(&self) -> bool {
        self.shared.body().as_ref().is_some_and(LeasedBody::is_end_stream)
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        self.shared.body().as_ref().map_or_else(SizeHint::default, LeasedBody::size_hint)
    }
}

impl Shared {
    fn body(&self) -> MutexGuard<'_, Option<LeasedBody>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.watcher.abort();
        // The aborted task holds `shared` until it is next polled.
        drop(self.shared.body().take());
    }
}
