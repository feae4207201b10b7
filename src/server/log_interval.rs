//! Limits how often a line is logged that clients can cause.

use std::time::Duration;

use tokio::time::Instant;

/// When a line was last logged.
#[derive(Debug, Default)]
pub(super) struct LogInterval(Option<Instant>);

impl LogInterval {
    /// Whether a line may be logged that is logged once per `interval`; then it counts as
    /// logged.
    pub(super) fn take(&mut self, interval: Duration) -> bool {
        let now = Instant::now();
        let is_due = self.0.is_none_or(|last| now.duration_since(last) >= interval);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }
}
