//! The settings that a decision uses, and their replacement on reload.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::drain::Drain;
use crate::authn::Authenticator;
use crate::clock::Clock;
use crate::policy::Policy;

/// The policy and the authenticator of one configuration.
pub(crate) struct Ruleset {
    pub(crate) policy: Policy,
    pub(crate) authn: Authenticator,
    /// Origins that are this app: the public URL's first, then the routes' hosts.
    pub(crate) origins: Vec<String>,
    /// The ruleset that a reload installed in its place.
    successor: ArcSwapOption<Self>,
    replaced: Notify,
    pub(super) drain: Arc<Drain>,
    pub(super) clock: Clock,
}

impl Ruleset {
    pub(super) fn new(
        policy: Policy,
        authn: Authenticator,
        origins: Vec<String>,
        drain: Arc<Drain>,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self {
            policy,
            authn,
            origins,
            successor: ArcSwapOption::empty(),
            replaced: Notify::new(),
            drain,
            clock,
        })
    }

    /// Puts `next` in force in place of this.
    pub(super) fn replace(&self, next: &Arc<Self>) {
        self.successor.store(Some(Arc::clone(next)));
    }

    /// Wakes what waits for a replacement.
    pub(super) fn notify_replaced(&self) {
        self.replaced.notify_waiters();
    }

    /// Waits until this is replaced.
    pub(super) async fn replaced(&self) {
        let replaced = self.replaced.notified();
        if self.successor.load().is_none() {
            replaced.await;
        }
    }

    /// The ruleset in force.
    pub(super) fn latest(self: &Arc<Self>) -> Arc<Self> {
        let mut latest = Arc::clone(self);
        while let Some(next) = latest.successor.load_full() {
            latest = next;
        }
        // Shortens the chain, so that those between are freed.
        if !Arc::ptr_eq(&latest, self) {
            self.successor.store(Some(Arc::clone(&latest)));
        }
        latest
    }

    /// Whether a route's index means the same in `other`.
    pub(super) fn has_routes_of(&self, other: &Self) -> bool {
        let (own, others) = (self.policy.routes.list(), other.policy.routes.list());
        own.len() == others.len()
            && own.iter().zip(others).all(|(own, other)| {
                own.host == other.host && own.path == other.path && own.methods == other.methods
            })
    }
}
