//! Permission that lasts: an open stream or tunnel is looked at again whenever
//! its session is, and does not outlive what it was allowed by.

use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use crate::authn::{TokenCaller, TokenError};
use crate::session::{ActiveSession, Freshness};

/// How many seconds pass after a question about a token that was not answered.
const PAUSE: u64 = 15;
/// No session is looked at more often, whatever is configured.
const AT_LEAST: Duration = Duration::from_secs(1);

impl Inner {
    /// Waits until `session` has ended, or may no longer be where `route` leads.
    pub(super) async fn until_refused(self: &Arc<Self>, session: &ActiveSession, route: Option<usize>) {
        tokio::select! {
            () = session.ended(&self.clock) => {}
            () = self.until_not_admitted(session, route) => {}
        }
    }

    /// Waits until rules are in force by which `route` is not open to everybody.
    pub(super) async fn until_closed_to_all(self: &Arc<Self>, route: Option<usize>) {
        loop {
            let gate = self.latest();
            let replaced = gate.replaced.notified();
            if gate.successor.load().is_some() {
                continue;
            }
            if !self.has_places_of(&gate) || !gate.policy.is_open(route) {
                return;
            }
            replaced.await;
        }
    }

    async fn until_not_admitted(self: &Arc<Self>, session: &ActiveSession, route: Option<usize>) {
        loop {
            // Before anything is looked at, so that no change is missed.
            let changed = session.live().changed();
            let gate = self.latest();
            let latest = session.latest();
            if !self.has_places_of(&gate) || !gate.policy.still_admits(route, latest.user().person()) {
                return;
            }
            match gate.oauth2.confirmed(latest).await {
                Ok(Some(_)) => {}
                Ok(None) => return,
                // The last word is too old, and there is no other: no fresh allow.
                Err(_) => {
                    if gate.oauth2.sessions.freshness(&session.latest()) == Freshness::Expired {
                        return;
                    }
                }
            }
            let latest = session.latest();
            let wait = gate.oauth2.sessions.due_in(&latest).max(latest.live().pause(self.clock.now()));
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(Duration::from_secs(wait).max(AT_LEAST)) => {}
            }
        }
    }

    /// Waits until a token counts no more, or its owner may no longer be where
    /// `route` leads. It is asked about as often as a session.
    pub(super) async fn until_token_refused(self: &Arc<Self>, bearing: &TokenCaller, route: Option<usize>) {
        let mut answered = self.clock.now();
        let mut wait = self.oauth2.sessions.intervals().0;
        loop {
            let gate = self.latest();
            let replaced = gate.replaced.notified();
            if gate.successor.load().is_some() {
                continue;
            }
            tokio::select! {
                () = replaced => {}
                () = tokio::time::sleep(Duration::from_secs(wait).max(AT_LEAST)) => {}
            }
            let gate = self.latest();
            let Some(bearer) = gate.bearer.as_ref().filter(|_| self.has_places_of(&gate)) else { return };
            let (revalidate, grace) = gate.oauth2.sessions.intervals();
            match bearer.again(bearing).await {
                Ok(latest) => {
                    let person = latest.introduction().user().person();
                    if !gate.policy.still_admits(route, person) {
                        return;
                    }
                    answered = self.clock.now();
                    wait = revalidate;
                }
                Err(TokenError::Invalid(_)) => return,
                Err(TokenError::Unchecked { retry_after, .. }) => {
                    if self.clock.now().saturating_sub(answered) >= revalidate.saturating_add(grace) {
                        return;
                    }
                    wait = retry_after.max(PAUSE);
                }
            }
        }
    }
}
