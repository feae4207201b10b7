//! Long-lived streams and tunnels: they end with their session, and each is decided anew
//! whenever its session is revalidated or the rules change.

use std::sync::Arc;
use std::time::Duration;

use super::ruleset::Ruleset;
use crate::authn::{TokenCaller, TokenError};
use crate::policy::Rule;
use crate::session::{ActiveSession, Freshness};

/// How many seconds pass before a token is introspected again that could not be.
const PAUSE: u64 = 15;
/// No session is looked at more often, whatever is configured.
const AT_LEAST: Duration = Duration::from_secs(1);
/// Timers stand still while a machine is suspended, and the time of day does not: a
/// session is looked at this often even if it lasts longer.
const AT_MOST: Duration = Duration::from_secs(60);

/// Where a request was let in: its route, and what is required besides.
pub(super) type Place<'a> = (Option<usize>, &'a [Rule]);

impl Ruleset {
    /// Waits until `session` has ended, or may no longer be at `place`.
    pub(super) async fn until_refused(self: &Arc<Self>, session: &ActiveSession, place: Place<'_>) {
        tokio::select! {
            biased;
            () = session.shared().ended() => {}
            () = self.until_over(session) => {}
            () = self.until_not_admitted(session, place) => {}
        }
    }

    /// Waits until rules are in force by which `place` is not public.
    pub(super) async fn until_not_public(self: &Arc<Self>, (route, required): Place<'_>) {
        loop {
            let latest = self.latest();
            if !self.has_routes_of(&latest) || !latest.policy.decide(route, required, None).admits() {
                return;
            }
            latest.replaced().await;
        }
    }

    /// Ends a session once it was not used for `idle_timeout`, or has reached its `max_age`.
    /// The timer is reset when it has run out, not when the session is used.
    async fn until_over(self: &Arc<Self>, session: &ActiveSession) {
        let _use = StreamUse { ruleset: self, session };
        loop {
            let ruleset = self.latest();
            let sessions = &ruleset.authn.sessions.sessions;
            if sessions.is_past_grace(session).await {
                tracing::debug!("streams end: the session store does not answer for too long");
                return;
            }
            let Some(left) = sessions.time_left_anywhere(session).await else {
                tracing::debug!(user = session.user().username(), "a session is over that had open streams");
                if let Err(down) = sessions.expire(session).await {
                    tracing::error!(error = %down, "a session that is over could not be removed from the store");
                }
                return;
            };
            let look = sessions.look_interval().unwrap_or(AT_MOST).min(AT_MOST);
            tokio::select! {
                () = ruleset.replaced() => {}
                () = tokio::time::sleep(left.min(look)) => {
                    sessions.record_stream(session);
                    sessions.look_after(session);
                }
            }
        }
    }

    async fn until_not_admitted(self: &Arc<Self>, session: &ActiveSession, place: Place<'_>) {
        loop {
            // Before anything is looked at, so that no change is missed.
            let changed = session.shared().changed();
            let ruleset = self.latest();
            let latest = session.latest();
            if !self.has_routes_of(&ruleset) || !ruleset.still_admits(latest.clone(), place).await {
                return;
            }
            let latest = session.latest();
            let sessions = &ruleset.authn.sessions;
            match sessions.confirmed(latest).await {
                Ok(Some(_)) => {}
                Ok(None) => return,
                // The last answer has expired, and there is no other.
                Err(_) => {
                    if sessions.sessions.freshness(&session.latest()) == Freshness::Expired {
                        return;
                    }
                }
            }
            let latest = session.latest();
            let wait = sessions.sessions.due_in(&latest).max(latest.shared().pause(self.clock.now()));
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(Duration::from_secs(wait).max(AT_LEAST)) => {}
            }
        }
    }

    /// Waits until a token is no longer valid, or its owner may no longer be at `place`.
    /// It is introspected as often as a session is revalidated.
    pub(super) async fn until_token_refused(
        self: &Arc<Self>,
        caller: &TokenCaller,
        (route, required): Place<'_>,
    ) {
        let mut answered = self.clock.now();
        let mut known = None;
        let mut wait = self.authn.sessions.sessions.intervals().0;
        loop {
            let ruleset = self.latest();
            tokio::select! {
                () = ruleset.replaced() => {}
                () = tokio::time::sleep(Duration::from_secs(wait).max(AT_LEAST)) => {}
            }
            let ruleset = self.latest();
            let tokens = ruleset.authn.tokens.as_ref().filter(|_| self.has_routes_of(&ruleset));
            let Some(tokens) = tokens else { return };
            let (revalidate, grace) = ruleset.authn.sessions.sessions.intervals();
            match tokens.reauthenticate(caller).await {
                Ok(latest) => {
                    let person = latest.identity().user().person();
                    if !ruleset.policy.decide(route, required, Some(person)).admits() {
                        return;
                    }
                    known = Some(latest);
                    answered = self.clock.now();
                    wait = revalidate;
                }
                Err(TokenError::Invalid(_)) => return,
                Err(TokenError::Unchecked { retry_after, .. }) => {
                    // The rules in force decide by what is known; what they need beyond it
                    // cannot be asked.
                    let person = known.as_deref().unwrap_or(caller).identity().user().person();
                    if !ruleset.policy.decide(route, required, Some(person)).admits() {
                        return;
                    }
                    if self.clock.now().saturating_sub(answered) >= revalidate.saturating_add(grace) {
                        return;
                    }
                    wait = retry_after.max(PAUSE);
                }
            }
        }
    }
}

/// A stream that is open under a session. When it ends, a server-side store learns of its
/// last use: this process may forget the session before the next request.
struct StreamUse<'a> {
    ruleset: &'a Arc<Ruleset>,
    session: &'a ActiveSession,
}

impl Drop for StreamUse<'_> {
    fn drop(&mut self) {
        self.ruleset.latest().authn.sessions.sessions.record_stream(self.session);
    }
}
