//! Passive health checking: an endpoint whose requests fail is ejected for a while.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How long the first ejection lasts; it doubles with every failed probe,
const BASE_EJECTION: Duration = Duration::from_secs(1);
/// up to this.
const MAX_EJECTION: Duration = Duration::from_secs(30);

/// Counts the consecutive failures of an endpoint.
#[derive(Debug)]
pub(super) struct OutlierDetector {
    created: Instant,
    /// Consecutive failures; more than zero means ejected.
    failures: AtomicU32,
    /// Milliseconds from `created` to the next probe.
    ejected_until: AtomicU64,
}

/// Whether an endpoint may get requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutlierStatus {
    Healthy,
    /// The ejection has ended, and this request is to probe the endpoint.
    Probe,
    Ejected,
}

impl OutlierDetector {
    pub(super) fn new() -> Self {
        Self { created: Instant::now(), failures: AtomicU32::new(0), ejected_until: AtomicU64::new(0) }
    }

    /// Records a request without a response; `true` if it ejects the endpoint. `probe`:
    /// the endpoint was ejected, and this request probed it. Other requests that fail
    /// during an ejection were sent before it and do not prolong it.
    pub(super) fn record_failure(&self, probe: bool) -> bool {
        let (failures, ejected) = if probe {
            (self.failures.fetch_add(1, Ordering::Relaxed), false)
        } else if self.failures.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            (0, true)
        } else {
            return false;
        };
        let ejection = BASE_EJECTION.saturating_mul(1 << failures.min(5)).min(MAX_EJECTION);
        self.ejected_until.store(self.now().saturating_add(millis(ejection)), Ordering::Relaxed);
        ejected
    }

    /// Records a response; `true` if the endpoint was ejected until now.
    pub(super) fn record_success(&self) -> bool {
        self.failures.load(Ordering::Relaxed) != 0 && self.failures.swap(0, Ordering::Relaxed) != 0
    }

    /// Of the requests that ask after an ejection has ended, one gets
    /// [`OutlierStatus::Probe`].
    pub(super) fn status(&self) -> OutlierStatus {
        if self.failures.load(Ordering::Relaxed) == 0 {
            return OutlierStatus::Healthy;
        }
        let (now, until) = (self.now(), self.ejected_until.load(Ordering::Relaxed));
        if now < until {
            return OutlierStatus::Ejected;
        }
        let next = now.saturating_add(millis(BASE_EJECTION));
        match self.ejected_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => OutlierStatus::Probe,
            Err(_) => OutlierStatus::Ejected,
        }
    }

    fn now(&self) -> u64 {
        millis(self.created.elapsed())
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
