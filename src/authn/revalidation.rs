//! Session revalidation: memberships end, roles change and single sign-on lapses, so the
//! provider is contacted again at intervals.
//!
//! Requests of one session share one request to the provider, over all replicas that share a
//! store: the one that contacts it holds the session's lease, and the others use its answer.
//! It runs in a separate task, so that a client that disconnects does not cancel it: a refresh
//! token is lost if it was used and the answer was not read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::error::SessionError;
use super::person_filter::PersonFilter;
use crate::causes::Causes;
use crate::clock::Clock;
use crate::identity::{Person, Tokens};
use crate::masked::masked;
use crate::provider::{Provider, SignInError};
use crate::session::{ActiveSession, Freshness, LeaseElsewhere, Leased, RevalidationPermit, Sessions};

/// The pause after a failed request about a session, in seconds.
const PAUSE: u64 = 15;
/// How long a request waits for an answer that it cannot do without.
const TIMEOUT: Duration = Duration::from_secs(12);
/// How often a session is loaded again while another process contacts the provider, in case
/// the store does not announce its answer.
const POLL: Duration = Duration::from_millis(500);

/// Who contacts the provider about a session.
enum Turn {
    Ours,
    /// Another process does or did, or nobody may for now.
    Theirs,
}

/// Why the provider returned no person for a session.
enum NoAnswer {
    /// The session has ended, according to the provider or another process.
    Ended(String),
    /// The provider refused the refresh token of `tokens`.
    Refused { reason: String, tokens: Tokens },
    /// A later request may succeed.
    Yet {
        /// The kind of failure.
        cause: &'static str,
        reason: String,
        /// Seconds to wait, if the provider said so.
        retry_after: Option<u64>,
    },
}

/// The confirmation that is available without waiting.
pub(super) enum Confirmation {
    /// The provider's last answer is still valid.
    Holds(ActiveSession),
    /// The last answer has expired: access must wait for a new one.
    Expired(ActiveSession),
}

/// What a request needs of the provider's answer about its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// It has not expired.
    Fresh,
    /// It was also filtered for the rules in force, so that they find what they name.
    Complete,
}

/// Confirms sessions, and contacts the provider again when that is due.
pub(crate) struct SessionRevalidator {
    pub(crate) sessions: Arc<Sessions>,
    provider: Arc<Provider>,
    retain: PersonFilter,
    clock: Clock,
}

impl SessionRevalidator {
    pub(crate) fn new(
        sessions: Arc<Sessions>,
        provider: Arc<Provider>,
        retain: PersonFilter,
        clock: Clock,
    ) -> Arc<Self> {
        Arc::new(Self { sessions, provider, retain, clock })
    }

    /// Whether a session's last answer is still valid. If a new one is due, it is
    /// requested in the background, and the old one is used until it arrives.
    pub(super) fn confirm(self: &Arc<Self>, session: ActiveSession, freshness: Freshness) -> Confirmation {
        match freshness {
            Freshness::Fresh => Confirmation::Holds(session),
            Freshness::Stale => {
                if session.shared().pause(self.clock.now()) == 0
                    && self.sessions.lease_elsewhere(&session).is_none()
                    && let Some(permit) = session.shared().try_acquire_revalidation()
                {
                    drop(self.revalidate_in_task(&session, None, permit));
                }
                Confirmation::Holds(session)
            }
            Freshness::Expired => Confirmation::Expired(session),
        }
    }

    /// The session, if it is confirmed; `None` if it has ended. Waits only if the last
    /// answer has expired.
    pub(crate) async fn confirmed(
        self: &Arc<Self>,
        session: ActiveSession,
    ) -> Result<Option<ActiveSession>, SessionError> {
        let freshness = self.sessions.freshness(&session);
        match self.confirm(session, freshness) {
            Confirmation::Holds(session) => Ok(Some(session)),
            Confirmation::Expired(session) => self.asked_in_time(&session, Need::Fresh).await,
        }
    }

    /// The session with everything that the rules in force can need; `None` if it has
    /// ended. What its sign-in dropped, since the rules of that time did not name it, is
    /// requested from the provider.
    pub(crate) async fn completed(
        self: &Arc<Self>,
        session: ActiveSession,
    ) -> Result<Option<ActiveSession>, SessionError> {
        match self.outcome(&session, Need::Complete) {
            Some(Ok(completed)) => Ok(completed),
            Some(Err(_)) | None => self.asked_in_time(&session, Need::Complete).await,
        }
    }

    async fn asked_in_time(
        self: &Arc<Self>,
        session: &ActiveSession,
        need: Need,
    ) -> Result<Option<ActiveSession>, SessionError> {
        let waiting = Box::pin(timeout(TIMEOUT, self.asked_anew(session, need))).await;
        waiting.unwrap_or(Err(need.unmet(1)))
    }

    /// Requests a new answer from the provider for the session.
    async fn asked_anew(
        self: &Arc<Self>,
        session: &ActiveSession,
        need: Need,
    ) -> Result<Option<ActiveSession>, SessionError> {
        let permit = session.shared().acquire_revalidation().await;
        // The previous holder of the permit may have received the answer.
        if let Some(outcome) = self.outcome(session, need) {
            return outcome;
        }
        // This fails only if the task panicked; then there is no answer.
        let _ = self.revalidate_in_task(session, Some(need), permit).await;
        self.outcome(session, need).unwrap_or(Err(need.unmet(PAUSE)))
    }

    /// The outcome of the last request, if it is conclusive.
    fn outcome(
        &self,
        session: &ActiveSession,
        need: Need,
    ) -> Option<Result<Option<ActiveSession>, SessionError>> {
        let latest = self.sessions.latest(session);
        if latest.has_ended() {
            return Some(Ok(None));
        }
        let fresh = self.sessions.freshness(&latest) != Freshness::Expired;
        if fresh && (need == Need::Fresh || self.retain.suffices(latest.user().person())) {
            return Some(Ok(Some(latest)));
        }
        match latest.shared().pause(self.clock.now()) {
            0 => None,
            retry_after => Some(Err(need.unmet(retry_after))),
        }
    }

    /// Revalidates a session in a separate task. With a `need`, it waits for the answer that
    /// another process asks for.
    fn revalidate_in_task(
        self: &Arc<Self>,
        session: &ActiveSession,
        need: Option<Need>,
        permit: RevalidationPermit,
    ) -> JoinHandle<()> {
        let (revalidator, session) = (Arc::clone(self), session.latest());
        tokio::spawn(async move {
            revalidator.revalidate(&session, need).await;
            drop(permit);
        })
    }

    async fn revalidate(&self, session: &ActiveSession, need: Option<Need>) {
        let answer = match self.turn(session, need).await {
            Ok(Turn::Ours) => self.person_of(session).await,
            Ok(Turn::Theirs) => return,
            Err(no_answer) => Err(no_answer),
        };
        self.record(session, answer).await;
    }

    /// Records the provider's answer, and gives the lease back.
    async fn record(&self, session: &ActiveSession, answer: Result<Person, NoAnswer>) {
        let user = session.user().username();
        let ended = match answer {
            Ok(mut person) => {
                self.retain.apply(&mut person);
                match self.sessions.confirm(session, person).await {
                    Ok(()) => tracing::debug!(%user, "a session was confirmed"),
                    Err(down) => tracing::error!(error = %down, "a confirmed session could not be stored"),
                }
                return;
            }
            Err(NoAnswer::Ended(reason)) => (self.sessions.end_session(session).await, reason),
            Err(NoAnswer::Refused { reason, tokens }) => {
                (self.sessions.end_tokens(session, &tokens).await, reason)
            }
            Err(NoAnswer::Yet { cause, reason, retry_after }) => {
                let pause = retry_after.unwrap_or_default().max(PAUSE);
                session.shared().pause_until(self.clock.now() + pause);
                tracing::warn!(
                    %user, cause, %reason, pause,
                    "a session could not be confirmed; the last answer is used until it expires",
                );
                self.sessions.give_up_lease(session, pause).await;
                return;
            }
        };
        let (result, reason) = ended;
        tracing::info!(target: "huggate::audit", event = "session_ended", username = &*masked(user), sub = session.user().id(), %reason, "session ended");
        if let Err(down) = result {
            tracing::error!(error = %down, "an ended session could not be removed from the store");
        }
    }

    /// Takes the lease of a session, unless another process has it or has just had it. With a
    /// `need`, waits until that is met or nobody has the lease.
    async fn turn(&self, session: &ActiveSession, need: Option<Need>) -> Result<Turn, NoAnswer> {
        let deadline = Instant::now() + TIMEOUT;
        while Instant::now() < deadline {
            // Before anything is looked at, so that no change is missed.
            let changed = session.shared().changed();
            if self.is_served(session, need) {
                return Ok(Turn::Theirs);
            }
            match self.sessions.lease_elsewhere(session) {
                None => match self.sessions.acquire_lease(session).await {
                    Ok(Leased::Yes) => return Ok(Turn::Ours),
                    Ok(Leased::Changed) => {}
                    Ok(Leased::Ended) => return Err(NoAnswer::ended_elsewhere()),
                    // It may take no writes and still answer: this process asks for itself.
                    Err(_) => return self.load(session).await.map(|()| Turn::Ours),
                },
                Some(_) if need.is_none() => return Ok(Turn::Theirs),
                Some(LeaseElsewhere::Failed { retry_after }) => {
                    session.shared().pause_until(self.clock.now() + retry_after);
                    return Ok(Turn::Theirs);
                }
                Some(LeaseElsewhere::InProgress) => {
                    if timeout(POLL, changed).await.is_err() {
                        self.load(session).await?;
                    }
                }
            }
        }
        Ok(Turn::Theirs)
    }

    /// Whether the provider need not be contacted, or must not be for now.
    fn is_served(&self, session: &ActiveSession, need: Option<Need>) -> bool {
        match need {
            Some(need) => self.outcome(session, need).is_some(),
            None => {
                session.has_ended()
                    || self.sessions.freshness(&session.latest()) == Freshness::Fresh
                    || session.shared().pause(self.clock.now()) > 0
            }
        }
    }

    /// Loads a session again; an error if it has ended.
    async fn load(&self, session: &ActiveSession) -> Result<(), NoAnswer> {
        match self.sessions.is_kept(session).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(NoAnswer::ended_elsewhere()),
            Err(down) => Err(NoAnswer::store(down.to_string())),
        }
    }

    /// The current person of the session's tokens, which are refreshed if necessary. Another
    /// process may have refreshed them: one of an older version, or one with another cookie of
    /// the session. Then its tokens are used.
    async fn person_of(&self, session: &ActiveSession) -> Result<Person, NoAnswer> {
        let used = session.latest();
        let refused = match self.ask(&used).await {
            Err(NoAnswer::Refused { reason, tokens }) => NoAnswer::Refused { reason, tokens },
            answer => return answer,
        };
        self.load(session).await?;
        let latest = session.latest();
        if latest.tokens().access.expose() != used.tokens().access.expose() {
            return self.ask(&latest).await;
        }
        if self.sessions.may_be_refreshed_elsewhere(session) {
            return Err(NoAnswer::store("another process may have refreshed the tokens".to_owned()));
        }
        Err(refused)
    }

    async fn ask(&self, session: &ActiveSession) -> Result<Person, NoAnswer> {
        let (tokens, before) = (session.tokens(), session.user().person());
        let outlived = tokens.expires.is_some_and(|expires| expires <= self.clock.now());
        if !outlived || tokens.refresh.is_none() {
            match self.provider.person(&tokens.access, before).await {
                Err(error) if error.is_rejection() && tokens.refresh.is_some() => {}
                answer => return answer.map_err(NoAnswer::from),
            }
        }
        let Some(refresh) = &tokens.refresh else { return Err(NoAnswer::Ended("no token".to_owned())) };
        if !self.sessions.may_refresh(session) {
            let reason = "the provider took too long to refresh the tokens".to_owned();
            return Err(NoAnswer::Yet { cause: "timeout", reason, retry_after: None });
        }
        let tokens = match self.provider.refresh(refresh).await {
            Err(error) if error.is_rejection() => {
                let reason = Causes(&error).to_string();
                return Err(NoAnswer::Refused { reason, tokens: tokens.clone() });
            }
            answer => answer?,
        };
        // Store the new tokens first: the old ones may already be invalid.
        if let Err(down) = self.sessions.keep_tokens(session, tokens.clone()).await {
            tracing::error!(error = %down, "new tokens of a session could not be stored");
        }
        Ok(self.provider.person(&tokens.access, before).await?)
    }
}

impl NoAnswer {
    fn ended_elsewhere() -> Self {
        Self::Ended("it was ended by another process".to_owned())
    }

    fn store(reason: String) -> Self {
        Self::Yet { cause: "store", reason, retry_after: None }
    }
}

impl Need {
    /// The error while the provider's answer does not meet this need.
    fn unmet(self, retry_after: u64) -> SessionError {
        match self {
            Self::Fresh => SessionError::Unconfirmed { retry_after },
            Self::Complete => SessionError::NotHeld { retry_after },
        }
    }
}

impl fmt::Debug for SessionRevalidator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionRevalidator").field("sessions", &self.sessions).finish_non_exhaustive()
    }
}

impl From<SignInError> for NoAnswer {
    fn from(error: SignInError) -> Self {
        let reason = Causes(&error).to_string();
        if error.is_rejection() {
            return Self::Ended(reason);
        }
        Self::Yet { cause: error.cause(), reason, retry_after: error.retry_after() }
    }
}
