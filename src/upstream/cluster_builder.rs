//! Builds the clusters of all routes. Each endpoint exists once; those of the previous
//! configuration are reused with their connections.

use std::sync::Arc;

use super::address::UpstreamUrl;
use super::cluster::Cluster;
use super::connector::Connector;
use super::endpoint::Endpoint;
use super::health_check::HealthCheck;
use super::health_path::HealthPath;
use super::load_balancer::{Candidate, MAX_ENDPOINTS};
use super::pool::Pool;
use super::settings::Target;
use super::tls::Tls;

/// Builds clusters from the targets of the settings.
pub(super) struct ClusterBuilder<'a> {
    tls: Option<&'a Tls>,
    endpoints: Vec<Arc<Endpoint>>,
    health_checks: Vec<Arc<HealthCheck>>,
    clusters: Vec<(&'a Target, Cluster)>,
}

impl<'a> ClusterBuilder<'a> {
    /// A builder that reuses the endpoints and health checks of `previous`.
    pub(super) fn new(tls: Option<&'a Tls>, previous: &[Cluster]) -> Self {
        let candidates = || previous.iter().flat_map(Cluster::candidates);
        Self {
            tls,
            endpoints: candidates().map(|candidate| Arc::clone(&candidate.endpoint)).collect(),
            health_checks: candidates().filter_map(|candidate| candidate.health_check.clone()).collect(),
            clusters: Vec::new(),
        }
    }

    /// The index of the cluster for `target`, which is added if it is new.
    pub(super) fn index_of(&mut self, target: &'a Target) -> usize {
        if let Some(index) = self.clusters.iter().position(|(known, _)| *known == target) {
            return index;
        }
        let mut candidates = Vec::new();
        for url in target.urls.iter().take(MAX_ENDPOINTS) {
            let endpoint = self.endpoint(url);
            let health_check = target.health.as_ref().map(|path| self.health_check(&endpoint, path));
            candidates.push(Candidate { endpoint, health_check });
        }
        self.clusters.push((target, Cluster::new(candidates)));
        self.clusters.len() - 1
    }

    pub(super) fn build(self) -> Vec<Cluster> {
        self.clusters.into_iter().map(|(_, cluster)| cluster).collect()
    }

    fn endpoint(&mut self, url: &UpstreamUrl) -> Arc<Endpoint> {
        let tls = self.tls;
        let known = self.endpoints.iter().find(|endpoint| endpoint.pool().connector().is_same_as(url, tls));
        known.cloned().unwrap_or_else(|| {
            let connector = Connector::new(url.clone(), tls.cloned());
            let endpoint = Arc::new(Endpoint::new(Pool::new(connector)));
            self.endpoints.push(Arc::clone(&endpoint));
            endpoint
        })
    }

    fn health_check(&mut self, endpoint: &Arc<Endpoint>, path: &HealthPath) -> Arc<HealthCheck> {
        let known = self.health_checks.iter().find(|check| check.checks(endpoint, path));
        known.cloned().unwrap_or_else(|| {
            let check = Arc::new(HealthCheck::new(Arc::clone(endpoint), path.clone()));
            self.health_checks.push(Arc::clone(&check));
            check
        })
    }
}
