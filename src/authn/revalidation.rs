//! Asking the provider again: memberships end, roles change, single sign-on
//! lapses, and a session must not outlive what it rests on.
//!
//! Whoever needs a session gets it here. It is asked about once, however many of
//! its requests wait; and not on behalf of a request that may go away, since a
//! refresh token that was used and whose successor got lost is lost.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::identity::Person;
use crate::oauth2::OAuth2;
use crate::provider::SignInError;
use crate::session::{ActiveSession, Freshness, RevalidationPermit, SessionLookup, StoreDown};

/// How long nothing is asked about a session after there was no answer, in seconds.
const PAUSE: u64 = 15;
/// How long a request waits for an answer that it cannot do without.
const PATIENCE: Duration = Duration::from_secs(12);

/// It cannot be told whether a session still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unconfirmed {
    /// The store does not answer.
    Store(StoreDown),
    /// The provider does not, and its last word is too old.
    Provider {
        /// Seconds until it is asked again.
        retry_after: u64,
    },
}

/// Why asking about a session gave no person.
enum NoAnswer {
    /// It has ended: the provider, or another process, says so.
    Ended(String),
    /// There may be an answer later.
    Yet(String),
}

impl OAuth2 {
    /// The session of a request, if it is in force and the provider's word on it
    /// still counts. Waits only if that word is too old to hold any longer.
    pub(crate) async fn session(
        self: &Arc<Self>,
        headers: &HeaderMap,
    ) -> Result<Option<ActiveSession>, Unconfirmed> {
        match self.sessions.open(headers).await {
            SessionLookup::Nobody => Ok(None),
            SessionLookup::Unknown(down) => Err(Unconfirmed::Store(down)),
            SessionLookup::Session(current) => self.confirmed(current).await,
        }
    }

    /// The session as far as it still counts; the provider is asked if it is time.
    pub(crate) async fn confirmed(
        self: &Arc<Self>,
        current: ActiveSession,
    ) -> Result<Option<ActiveSession>, Unconfirmed> {
        match self.sessions.freshness(&current) {
            Freshness::Fresh => Ok(Some(current)),
            Freshness::Stale => {
                if current.live().pause(self.clock.now()) == 0
                    && let Some(turn) = current.live().try_turn()
                {
                    // Nobody waits for it: the old answer holds meanwhile.
                    drop(self.ask_again(&current, turn));
                }
                Ok(Some(current))
            }
            Freshness::Expired => {
                let waiting = Box::pin(timeout(PATIENCE, self.confirmed_anew(&current))).await;
                waiting.unwrap_or(Err(Unconfirmed::Provider { retry_after: 1 }))
            }
        }
    }

    /// The session with a new word of the provider's.
    async fn confirmed_anew(
        self: &Arc<Self>,
        current: &ActiveSession,
    ) -> Result<Option<ActiveSession>, Unconfirmed> {
        let turn = current.live().turn().await;
        // Whoever had the turn before may have got the answer.
        if let Some(outcome) = self.outcome(current) {
            return outcome;
        }
        // Fails only if it panicked; then there is no answer.
        let _ = self.ask_again(current, turn).await;
        self.outcome(current).unwrap_or(Err(Unconfirmed::Provider { retry_after: PAUSE }))
    }

    /// What came of the last question, if that settles it.
    fn outcome(&self, current: &ActiveSession) -> Option<Result<Option<ActiveSession>, Unconfirmed>> {
        let latest = current.latest();
        if latest.has_ended() {
            return Some(Ok(None));
        }
        if self.sessions.freshness(&latest) != Freshness::Expired {
            return Some(Ok(Some(latest)));
        }
        match latest.live().pause(self.clock.now()) {
            0 => None,
            retry_after => Some(Err(Unconfirmed::Provider { retry_after })),
        }
    }

    /// Asks about a session in a task of its own.
    fn ask_again(self: &Arc<Self>, current: &ActiveSession, turn: RevalidationPermit) -> JoinHandle<()> {
        let (oauth2, current) = (Arc::clone(self), current.latest());
        tokio::spawn(async move {
            oauth2.ask_about(&current).await;
            drop(turn);
        })
    }

    async fn ask_about(&self, current: &ActiveSession) {
        let user = current.user().username();
        match self.person_of(current).await {
            Ok(mut person) => {
                (self.retain)(&mut person);
                match self.sessions.confirm(current, person).await {
                    Ok(()) => tracing::debug!(%user, "a session was confirmed"),
                    Err(down) => tracing::error!(error = %down, "a session was confirmed and not stored"),
                }
            }
            Err(NoAnswer::Ended(reason)) => {
                tracing::info!(target: "huggate::audit", event = "session_ended", %user, %reason, "session ended");
                if let Err(down) = self.sessions.end_session(current).await {
                    tracing::error!(error = %down, "a session has ended and is still stored");
                }
            }
            Err(NoAnswer::Yet(reason)) => {
                current.live().pause_until(self.clock.now() + PAUSE);
                tracing::warn!(%user, %reason, "a session could not be confirmed; the last answer holds for its time");
            }
        }
    }

    /// Who the session's tokens speak for now; refreshed if they have to be.
    async fn person_of(&self, current: &ActiveSession) -> Result<Person, NoAnswer> {
        match self.sessions.is_kept(current).await {
            Ok(true) => {}
            Ok(false) => return Err(NoAnswer::Ended("it was ended elsewhere".to_owned())),
            Err(down) => return Err(NoAnswer::Yet(down.to_string())),
        }
        let current = current.latest();
        let (tokens, subject) = (current.tokens(), current.user().id());
        let outlived = tokens.expires.is_some_and(|expires| expires <= self.clock.now());
        if !outlived || tokens.refresh.is_none() {
            match self.provider.person(&tokens.access, subject).await {
                Err(error) if error.is_rejection() && tokens.refresh.is_some() => {}
                answer => return answer.map_err(NoAnswer::from),
            }
        }
        let Some(refresh) = &tokens.refresh else { return Err(NoAnswer::Ended("no token".to_owned())) };
        let tokens = self.provider.refresh(refresh).await?;
        // Before anything else: the old ones may be worth nothing by now.
        if let Err(down) = self.sessions.keep_tokens(&current, tokens.clone()).await {
            tracing::error!(error = %down, "new tokens of a session were not stored");
        }
        Ok(self.provider.person(&tokens.access, subject).await?)
    }
}

impl From<SignInError> for NoAnswer {
    fn from(error: SignInError) -> Self {
        if error.is_rejection() { Self::Ended(error.to_string()) } else { Self::Yet(error.to_string()) }
    }
}
