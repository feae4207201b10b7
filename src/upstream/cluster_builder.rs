//! The addresses of all routes, each once, and what is kept of them when the
//! settings change.

use std::sync::Arc;

use super::address::UpstreamUrl;
use super::cluster::{Group, MOST, Member};
use super::connector::Connector;
use super::health_check::{Check, HealthPath};
use super::pool::Pool;
use super::settings::Target;
use super::tls::Tls;

/// Groups as they are made, from the targets of the settings.
pub(super) struct Groups<'a> {
    tls: Option<&'a Tls>,
    /// What there was before, and is still good.
    members: Vec<Arc<Member>>,
    checks: Vec<Arc<Check>>,
    made: Vec<(&'a Target, Group)>,
}

impl<'a> Groups<'a> {
    pub(super) fn new(tls: Option<&'a Tls>, before: &[Group]) -> Self {
        let known = || before.iter().flat_map(Group::members);
        Self {
            tls,
            members: known().map(|(member, _)| Arc::clone(member)).collect(),
            checks: known().filter_map(|(_, check)| check.cloned()).collect(),
            made: Vec::new(),
        }
    }

    /// The place of the group for `target`.
    pub(super) fn index_of(&mut self, target: &'a Target) -> usize {
        if let Some(index) = self.made.iter().position(|(known, _)| *known == target) {
            return index;
        }
        let mut members = Vec::new();
        for url in target.urls.iter().take(MOST) {
            let member = self.member(url);
            let check = target.health.as_ref().map(|path| self.check(&member, path));
            members.push((member, check));
        }
        self.made.push((target, Group::new(members)));
        self.made.len() - 1
    }

    pub(super) fn into_groups(self) -> Vec<Group> {
        self.made.into_iter().map(|(_, group)| group).collect()
    }

    fn member(&mut self, url: &UpstreamUrl) -> Arc<Member> {
        let known = self.members.iter().find(|member| member.pool.connector().is_for(url, self.tls));
        known.cloned().unwrap_or_else(|| {
            let connector = Connector::new(url.clone(), self.tls.cloned());
            let member = Arc::new(Member::new(Pool::new(connector)));
            self.members.push(Arc::clone(&member));
            member
        })
    }

    fn check(&mut self, member: &Arc<Member>, path: &HealthPath) -> Arc<Check> {
        let known = self.checks.iter().find(|check| check.is_for(member, path));
        known.cloned().unwrap_or_else(|| {
            let check = Arc::new(Check::new(Arc::clone(member), path.clone()));
            self.checks.push(Arc::clone(&check));
            check
        })
    }
}
