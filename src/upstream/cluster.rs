//! The endpoints of one app, and failover between them.

use http::{Request, Response};

use super::dispatch::{DispatchError, DispatchOptions, SendError, dispatch};
use super::endpoint::InFlightGuard;
use super::load_balancer::{Candidate, LoadBalancer, Pick};
use super::request_body::RequestBody;
use super::response_body::ResponseBody;

/// The endpoints of one app.
#[derive(Debug)]
pub(super) struct Cluster {
    balancer: LoadBalancer,
}

impl Cluster {
    pub(super) fn new(candidates: Vec<Candidate>) -> Self {
        Self { balancer: LoadBalancer::new(candidates) }
    }

    pub(super) fn candidates(&self) -> &[Candidate] {
        self.balancer.candidates()
    }

    /// Starts the health checks that could not start without a runtime.
    pub(super) fn start_health_checks(&self) {
        for candidate in self.candidates() {
            if let Some(check) = &candidate.health_check {
                check.start();
            }
        }
    }

    /// The URLs of all endpoints, for messages.
    pub(super) fn name(&self) -> String {
        let urls: Vec<String> =
            self.candidates().iter().map(|candidate| candidate.endpoint.url().to_string()).collect();
        urls.join(", ")
    }

    /// The `Host` of a request that came without one.
    pub(super) fn authority(&self) -> &str {
        self.candidates().first().map_or("localhost", |candidate| &candidate.endpoint.url().authority)
    }

    /// Sends to one endpoint, and to the next one if that is safe. An error names the
    /// endpoint that was tried last.
    pub(super) async fn send(
        &self,
        mut request: Box<Request<RequestBody>>,
        options: DispatchOptions,
    ) -> Result<Response<ResponseBody>, (SendError, String)> {
        if let [only] = self.candidates() {
            let sent = dispatch(only.endpoint.pool(), request, options).await;
            return sent.map_err(|failed| (failed.error, only.endpoint.url().to_string()));
        }
        let mut tried = 0_u64;
        loop {
            let Some(Pick { index, endpoint, probe }) = self.balancer.pick(tried) else {
                return Err((SendError::Busy, self.name()));
            };
            tried |= 1 << index;
            let can_fail_over = self.candidates().len() > tried.count_ones() as usize;
            let in_flight = InFlightGuard::new(endpoint);
            let options = DispatchOptions { can_fail_over, ..options };
            let DispatchError { error, retry, reused } =
                match dispatch(endpoint.pool(), request, options).await {
                    Ok(response) => {
                        endpoint.record_success();
                        return Ok(response.map(|body| body.with_in_flight(Some(in_flight))));
                    }
                    Err(failed) => failed,
                };
            // A reused connection that broke says nothing about the endpoint.
            let broken = matches!(error, SendError::Broken(_)) && !reused;
            if broken || matches!(error, SendError::Connect(_) | SendError::Timeout) {
                endpoint.record_failure(probe);
            }
            match retry.filter(|_| can_fail_over) {
                Some(retry) => request = retry,
                None => return Err((error, endpoint.url().to_string())),
            }
        }
    }
}
