//! Which of several addresses a request goes to: the one with the fewest requests
//! under way, among those that are well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;

use super::dispatch::{Failed, Needs, SendError};
use super::health_check::Check;
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
pub(super) struct Member {
    pub(super) pool: Pool,
    under_way: AtomicUsize,
    /// How often it failed in a row.
    failures: AtomicU32,
    /// Milliseconds from `began` to when it may be tried again.
    out_until: AtomicU64,
    began: Instant,
}

/// Addresses of the same app.
#[derive(Debug)]
pub(super) struct Group {
    members: Vec<(Arc<Member>, Option<Arc<Check>>)>,
    /// Ties take turns.
    next: AtomicUsize,
}

/// A request under way, or its response.
#[derive(Debug)]
pub(super) struct Flight(Arc<Member>);

impl Member {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            under_way: AtomicUsize::new(0),
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
    fn standing(&self) -> Standing {
        let failures = self.failures.load(Ordering::Relaxed);
        if failures == 0 {
            return Standing::Well;
        }
        let (now, until) = (self.now(), self.out_until.load(Ordering::Relaxed));
        if now < until {
            return Standing::Out;
        }
        let next = now.saturating_add(u64::try_from(OUT.as_millis()).unwrap_or(u64::MAX));
        match self.out_until.compare_exchange(until, next, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Standing::ToBeTried,
            Err(_) => Standing::Out,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Well,
    ToBeTried,
    Out,
}

impl Group {
    pub(super) fn new(members: Vec<(Arc<Member>, Option<Arc<Check>>)>) -> Self {
        Self { members, next: AtomicUsize::new(0) }
    }

    pub(super) fn members(&self) -> impl Iterator<Item = (&Arc<Member>, Option<&Arc<Check>>)> {
        self.members.iter().map(|(member, check)| (member, check.as_ref()))
    }

    /// What messages call it.
    pub(super) fn name(&self) -> String {
        let urls: Vec<String> =
            self.members.iter().map(|(member, _)| member.pool.url().to_string()).collect();
        urls.join(", ")
    }

    /// What a request that names no host is for.
    pub(super) fn authority(&self) -> &str {
        self.members.first().map_or("localhost", |(member, _)| &member.pool.url().authority)
    }

    /// Sends to one of the addresses; to the next, if nothing can happen twice. The
    /// error comes with the name of the last.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
        needs: Needs,
    ) -> Result<Response<ResponseBody>, (SendError, String)> {
        if let [(only, _)] = self.members.as_slice() {
            let sent = only.pool.send(request, needs).await;
            return sent.map_err(|failed| (failed.error, only.pool.url().to_string()));
        }
        let mut tried = 0_u64;
        loop {
            let Some(Pick { index, member, on_trial }) = self.pick(tried) else {
                return Err((SendError::Busy, self.name()));
            };
            tried |= 1 << index;
            let left = self.members.len() > tried.count_ones() as usize;
            let flight = Flight::new(member);
            let Failed { error, request: again, kept } =
                match member.pool.send(request, Needs { elsewhere: left, ..needs }).await {
                    Ok(response) => {
                        member.succeeded();
                        return Ok(response.map(|body| body.with_flight(Some(flight))));
                    }
                    Err(failed) => failed,
                };
            let broken = matches!(error, SendError::Broken(_)) && !kept;
            if broken || matches!(error, SendError::Connect(_) | SendError::Timeout) {
                member.failed(on_trial);
            }
            match again.filter(|_| left) {
                Some(again) => request = *again,
                None => return Err((error, member.pool.url().to_string())),
            }
        }
    }

    /// The best of those not tried yet: one whose time is over, so that it comes
    /// back; else the one with the least to do that is well; else any.
    fn pick(&self, tried: u64) -> Option<Pick<'_>> {
        let mut well = 0_u64;
        for (index, (member, check)) in self.members.iter().enumerate() {
            if tried & (1 << index) != 0 || check.as_ref().is_some_and(|check| !check.is_well()) {
                continue;
            }
            match member.standing() {
                Standing::ToBeTried => return Some(Pick { index, member, on_trial: true }),
                Standing::Well => well |= 1 << index,
                Standing::Out => {}
            }
        }
        let choice = if well == 0 { !tried } else { well };
        let chosen = || {
            let members = self.members.iter().enumerate();
            members
                .filter(|(index, _)| choice & (1 << index) != 0)
                .map(|(index, (member, _))| (index, member))
        };
        let load = |member: &Member| member.under_way.load(Ordering::Relaxed);
        let least = chosen().map(|(_, member)| load(member)).min()?;
        let ties = chosen().filter(|(_, member)| load(member) <= least).count();
        // By then others may have more to do, and there are fewer of them.
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % ties.max(1);
        let (index, member) =
            chosen().filter(|(_, member)| load(member) <= least).nth(turn).or_else(|| chosen().next())?;
        Some(Pick { index, member, on_trial: false })
    }
}

struct Pick<'a> {
    index: usize,
    member: &'a Arc<Member>,
    /// It was out, and this request is to find out whether it still is.
    on_trial: bool,
}

impl Flight {
    fn new(member: &Arc<Member>) -> Self {
        member.under_way.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(member))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
