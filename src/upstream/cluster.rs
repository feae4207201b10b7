//! Which of several addresses a request goes to: the one with the fewest requests
//! under way, among those that are well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;

use super::dispatch::{DispatchOptions, Failed, SendError};
use super::health_check::HealthCheck;
use super::pool::Pool;
use super::request_body::RequestBody;
use super::response_body::ResponseBody;

/// How long an address that failed is left alone: this, and twice as long each time
/// it fails again,
const OUT: Duration = Duration::from_secs(1);
/// up to this.
const LONGEST_OUT: Duration = Duration::from_secs(30);

/// How many addresses an app has at most.
pub(super) const MOST: usize = 64;

/// An address, and how it has been doing.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) pool: Pool,
    in_flight: AtomicUsize,
    /// How often it failed in a row.
    failures: AtomicU32,
    /// Milliseconds from `began` to when it may be tried again.
    out_until: AtomicU64,
    began: Instant,
}

/// Addresses of the same app.
#[derive(Debug)]
pub(super) struct Cluster {
    endpoints: Vec<(Arc<Endpoint>, Option<Arc<HealthCheck>>)>,
    /// Ties take turns.
    next: AtomicUsize,
}

/// A request under way, or its response.
#[derive(Debug)]
pub(super) struct InFlightGuard(Arc<Endpoint>);

impl Endpoint {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            in_flight: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            out_until: AtomicU64::new(0),
            began: Instant::now(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// It gave no answer. `on_trial`: it was out, and this was the request that tried.
    /// Others that fail while it is out say nothing new.
    fn failed(&self, on_trial: bool) {
        let before = if on_trial {
            self.failures.fetch_add(1, Ordering::Relaxed)
        } else if self.failures.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            tracing::warn!(upstream = %self.pool.url(), "an upstream fails; it is left alone for a while");
            0
        } else {
            return;
        };
        let out = OUT.saturating_mul(1 << before.min(5)).min(LONGEST_OUT);
        let until = self.now().saturating_add(u64::try_from(out.as_millis()).unwrap_or(u64::MAX));
        self.out_until.store(until, Ordering::Relaxed);
    }

    fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 && self.failures.swap(0, Ordering::Relaxed) != 0 {
            tracing::info!(upstream = %self.pool.url(), "an upstream is back");
        }
    }

    /// How it stands. Of those who come when its time is over, one is to try.
    fn standing(&self) -> OutlierStatus {
        let failures = self.failures.load(Ordering::Relaxed);
        if failures == 0 {
            return OutlierStatus::Well;
        }
        let (now, until) = (self.now(), self.out_until.load(Ordering::Relaxed));
        if now < until {
            return OutlierStatus::Out;
        }
        let next = now.saturating_add(u64::try_from(OUT.as_millis()).unwrap_or(u64::MAX));
        match self.out_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => OutlierStatus::ToBeTried,
            Err(_) => OutlierStatus::Out,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutlierStatus {
    Well,
    ToBeTried,
    Out,
}

impl Cluster {
    pub(super) fn new(endpoints: Vec<(Arc<Endpoint>, Option<Arc<HealthCheck>>)>) -> Self {
        Self { endpoints, next: AtomicUsize::new(0) }
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = (&Arc<Endpoint>, Option<&Arc<HealthCheck>>)> {
        self.endpoints.iter().map(|(endpoint, check)| (endpoint, check.as_ref()))
    }

    /// What messages call it.
    pub(super) fn name(&self) -> String {
        let urls: Vec<String> =
            self.endpoints.iter().map(|(endpoint, _)| endpoint.pool.url().to_string()).collect();
        urls.join(", ")
    }

    /// What a request that names no host is for.
    pub(super) fn authority(&self) -> &str {
        self.endpoints.first().map_or("localhost", |(endpoint, _)| &endpoint.pool.url().authority)
    }

    /// Sends to one of the addresses; to the next, if nothing can happen twice. The
    /// error comes with the name of the last.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
        options: DispatchOptions,
    ) -> Result<Response<ResponseBody>, (SendError, String)> {
        if let [(only, _)] = self.endpoints.as_slice() {
            let sent = only.pool.send(request, options).await;
            return sent.map_err(|failed| (failed.error, only.pool.url().to_string()));
        }
        let mut tried = 0_u64;
        loop {
            let Some(Pick { index, endpoint, on_trial }) = self.pick(tried) else {
                return Err((SendError::Busy, self.name()));
            };
            tried |= 1 << index;
            let left = self.endpoints.len() > tried.count_ones() as usize;
            let in_flight = InFlightGuard::new(endpoint);
            let Failed { error, request: again, kept } =
                match endpoint.pool.send(request, DispatchOptions { elsewhere: left, ..options }).await {
                    Ok(response) => {
                        endpoint.succeeded();
                        return Ok(response.map(|body| body.with_in_flight(Some(in_flight))));
                    }
                    Err(failed) => failed,
                };
            let broken = matches!(error, SendError::Broken(_)) && !kept;
            if broken || matches!(error, SendError::Connect(_) | SendError::Timeout) {
                endpoint.failed(on_trial);
            }
            match again.filter(|_| left) {
                Some(again) => request = *again,
                None => return Err((error, endpoint.pool.url().to_string())),
            }
        }
    }

    /// The best of those not tried yet: one whose time is over, so that it comes
    /// back; else the one with the least to do that is well; else any.
    fn pick(&self, tried: u64) -> Option<Pick<'_>> {
        let mut well = 0_u64;
        for (index, (endpoint, check)) in self.endpoints.iter().enumerate() {
            if tried & (1 << index) != 0 || check.as_ref().is_some_and(|check| !check.is_healthy()) {
                continue;
            }
            match endpoint.standing() {
                OutlierStatus::ToBeTried => return Some(Pick { index, endpoint, on_trial: true }),
                OutlierStatus::Well => well |= 1 << index,
                OutlierStatus::Out => {}
            }
        }
        let choice = if well == 0 { !tried } else { well };
        let chosen = || {
            let endpoints = self.endpoints.iter().enumerate();
            endpoints
                .filter(|(index, _)| choice & (1 << index) != 0)
                .map(|(index, (endpoint, _))| (index, endpoint))
        };
        let load = |endpoint: &Endpoint| endpoint.in_flight.load(Ordering::Relaxed);
        let least = chosen().map(|(_, endpoint)| load(endpoint)).min()?;
        let ties = chosen().filter(|(_, endpoint)| load(endpoint) <= least).count();
        // By then others may have more to do, and there are fewer of them.
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % ties.max(1);
        let (index, endpoint) =
            chosen().filter(|(_, endpoint)| load(endpoint) <= least).nth(turn).or_else(|| chosen().next())?;
        Some(Pick { index, endpoint, on_trial: false })
    }
}

struct Pick<'a> {
    index: usize,
    endpoint: &'a Arc<Endpoint>,
    /// It was out, and this request is to find out whether it still is.
    on_trial: bool,
}

impl InFlightGuard {
    fn new(endpoint: &Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(endpoint))
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
