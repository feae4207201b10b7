//! Picks the endpoint for a request: the one with the fewest requests in flight among
//! the healthy ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::endpoint::Endpoint;
use super::health_check::HealthCheck;
use super::outlier_ejection::OutlierStatus;

/// The most endpoints of a cluster: a set of them is a `u64`.
pub(super) const MAX_ENDPOINTS: usize = 64;

/// An endpoint that a request may be sent to.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) health_check: Option<Arc<HealthCheck>>,
}

/// The least-request balancer of a cluster.
#[derive(Debug)]
pub(super) struct LoadBalancer {
    candidates: Vec<Candidate>,
    /// Rotates among the endpoints with equally few requests.
    next: AtomicUsize,
}

/// The chosen endpoint.
pub(super) struct Pick<'a> {
    pub(super) index: usize,
    pub(super) endpoint: &'a Arc<Endpoint>,
    /// The endpoint was ejected, and this request probes it.
    pub(super) probe: bool,
}

impl LoadBalancer {
    pub(super) fn new(candidates: Vec<Candidate>) -> Self {
        Self { candidates, next: AtomicUsize::new(0) }
    }

    pub(super) fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The best endpoint that is not in `tried`: one whose ejection has ended, so that
    /// it is probed; else a healthy one; else any.
    pub(super) fn pick(&self, tried: u64) -> Option<Pick<'_>> {
        let mut healthy = 0_u64;
        for (index, Candidate { endpoint, health_check }) in self.candidates.iter().enumerate() {
            if tried & (1 << index) != 0 || health_check.as_ref().is_some_and(|check| !check.is_healthy()) {
                continue;
            }
            match endpoint.outlier_status() {
                OutlierStatus::Probe => return Some(Pick { index, endpoint, probe: true }),
                OutlierStatus::Healthy => healthy |= 1 << index,
                OutlierStatus::Ejected => {}
            }
        }
        self.least_loaded(if healthy == 0 { !tried } else { healthy })
    }

    /// Of the endpoints in `eligible`, one with the fewest requests in flight.
    fn least_loaded(&self, eligible: u64) -> Option<Pick<'_>> {
        let eligible = || {
            let candidates = self.candidates.iter().enumerate();
            candidates
                .filter(|(index, _)| eligible & (1 << index) != 0)
                .map(|(index, candidate)| (index, &candidate.endpoint))
        };
        let least = eligible().map(|(_, endpoint)| endpoint.in_flight()).min()?;
        let ties = eligible().filter(|(_, endpoint)| endpoint.in_flight() <= least).count();
        // The counts may have risen since, so that there are fewer ties left.
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % ties.max(1);
        let (index, endpoint) = eligible()
            .filter(|(_, endpoint)| endpoint.in_flight() <= least)
            .nth(turn)
            .or_else(|| eligible().next())?;
        Some(Pick { index, endpoint, probe: false })
    }
}
