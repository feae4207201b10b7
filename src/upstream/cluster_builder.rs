//! The addresses of all routes, each once, and what is kept of them when the
//! settings change.

use std::sync::Arc;

use super::address::UpstreamUrl;
use super::cluster::{Cluster, Endpoint, MOST};
use super::connector::Connector;
use super::health_check::{HealthCheck, HealthPath};
use super::pool::Pool;
use super::settings::Target;
use super::tls::Tls;

/// ClusterBuilder as they are made, from the targets of the settings.
pub(super) struct ClusterBuilder<'a> {
    tls: Option<&'a Tls>,
    /// What there was before, and is still good.
    endpoints: Vec<Arc<Endpoint>>,
    checks: Vec<Arc<HealthCheck>>,
    made: Vec<(&'a Target, Cluster)>,
}

impl<'a> ClusterBuilder<'a> {
    pub(super) fn new(tls: Option<&'a Tls>, before: &[Cluster]) -> Self {
        let known = || before.iter().flat_map(Cluster::endpoints);
        Self {
            tls,
            endpoints: known().map(|(endpoint, _)| Arc::clone(endpoint)).collect(),
            checks: known().filter_map(|(_, check)| check.cloned()).collect(),
            made: Vec::new(),
        }
    }

    /// The place of the group for `target`.
    pub(super) fn index_of(&mut self, target: &'a Target) -> usize {
        if let Some(index) = self.made.iter().position(|(known, _)| *known == target) {
            return index;
        }
        let mut endpoints = Vec::new();
        for url in target.urls.iter().take(MOST) {
            let endpoint = self.endpoint(url);
            let check = target.health.as_ref().map(|path| self.check(&endpoint, path));
            endpoints.push((endpoint, check));
        }
        self.made.push((target, Cluster::new(endpoints)));
        self.made.len() - 1
    }

    pub(super) fn into_clusters(self) -> Vec<Cluster> {
        self.made.into_iter().map(|(_, cluster)| cluster).collect()
    }

    fn endpoint(&mut self, url: &UpstreamUrl) -> Arc<Endpoint> {
        let known = self.endpoints.iter().find(|endpoint| endpoint.pool.connector().is_for(url, self.tls));
        known.cloned().unwrap_or_else(|| {
            let connector = Connector::new(url.clone(), self.tls.cloned());
            let endpoint = Arc::new(Endpoint::new(Pool::new(connector)));
            self.endpoints.push(Arc::clone(&endpoint));
            endpoint
        })
    }

    fn check(&mut self, endpoint: &Arc<Endpoint>, path: &HealthPath) -> Arc<HealthCheck> {
        let known = self.checks.iter().find(|check| check.is_for(endpoint, path));
        known.cloned().unwrap_or_else(|| {
            let check = Arc::new(HealthCheck::new(Arc::clone(endpoint), path.clone()));
            self.checks.push(Arc::clone(&check));
            check
        })
    }
}
