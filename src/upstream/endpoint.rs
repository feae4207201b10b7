//! One address of an app: its connection pool, its requests in flight, and whether it is
//! ejected.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::address::UpstreamUrl;
use super::outlier_ejection::{OutlierDetector, OutlierStatus};
use super::pool::Pool;

/// One address of an app. Clusters that list the same address share it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pool: Pool,
    in_flight: AtomicUsize,
    outlier_detector: OutlierDetector,
}

/// A request in flight, until its response is complete.
#[derive(Debug)]
pub(super) struct InFlightGuard(Arc<Endpoint>);

impl Endpoint {
    pub(super) fn new(pool: Pool) -> Self {
        Self { pool, in_flight: AtomicUsize::new(0), outlier_detector: OutlierDetector::new() }
    }

    pub(super) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(super) fn url(&self) -> &UpstreamUrl {
        self.pool.url()
    }

    /// How many requests are in flight.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn outlier_status(&self) -> OutlierStatus {
        self.outlier_detector.status()
    }

    /// Records that a request got no response. `probe`: it probed an ejected endpoint.
    pub(super) fn record_failure(&self, probe: bool) {
        if self.outlier_detector.record_failure(probe) {
            tracing::warn!(upstream.address = %self.url(), "ejected an upstream endpoint: a request to it failed");
        }
    }

    pub(super) fn record_success(&self) {
        if self.outlier_detector.record_success() {
            tracing::info!(upstream.address = %self.url(), "an ejected upstream endpoint answers again");
        }
    }
}

impl InFlightGuard {
    pub(super) fn new(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
