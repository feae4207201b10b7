//! Marks a request as in flight until its response is complete.

use std::sync::Arc;

use super::connection_state::ConnectionState;

/// A request in flight, from its head to the end of its response. Dropped before the
/// response is complete, it counts as canceled by the client.
#[derive(Debug)]
pub(super) struct RequestGuard {
    state: Arc<ConnectionState>,
    complete: bool,
}

impl RequestGuard {
    pub(super) fn begin(state: &Arc<ConnectionState>) -> Self {
        state.begin_request();
        Self { state: Arc::clone(state), complete: false }
    }

    /// A guard for a tunnel, which is complete whenever either side closes it.
    pub(super) fn begin_tunnel(state: &Arc<ConnectionState>) -> Self {
        let mut guard = Self::begin(state);
        guard.complete = true;
        guard
    }

    /// Whether the response is complete: dropping the guard then cancels nothing.
    pub(super) fn set_complete(&mut self, complete: bool) {
        self.complete = complete;
    }

    /// Records that a frame of the response was produced.
    pub(super) fn record_progress(&self) {
        self.state.record_progress();
    }

    /// Whether the client waited for 100, and nothing was sent to it.
    pub(super) fn is_silent(&self) -> bool {
        self.state.is_silent()
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.state.end_request(self.complete);
    }
}
