//! What is known of a session at the moment: it changes when the provider is
//! asked again, while cookies with older knowledge still come in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cached::CachedSession;
use super::revocation::SharedSession;
use super::{Session, SessionId};
use crate::clock::{Clock, UnixTime};
use crate::identity::{RenderedIdentity, Tokens, User};

/// A session's content, and what the app is told of it.
pub(crate) struct SessionSnapshot {
    pub(super) session: Session,
    pub(super) introduction: RenderedIdentity,
}

/// Whether the provider's word on a person still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// It was given a short while ago.
    Fresh,
    /// It is time to ask again; until the answer is there, the old one holds.
    Stale,
    /// It is too old to let anybody in.
    Expired,
}

/// A session as one request finds it: the cookie it came in, and what was known
/// of it at that moment.
#[derive(Clone)]
pub(crate) struct ActiveSession {
    pub(super) opened: Arc<CachedSession>,
    pub(super) known: Arc<SessionSnapshot>,
}

impl ActiveSession {
    pub(super) fn of(opened: Arc<CachedSession>) -> Self {
        let known = opened.live.known();
        Self { opened, known }
    }

    /// The same session with what is known of it by now.
    pub(crate) fn latest(&self) -> Self {
        Self::of(Arc::clone(&self.opened))
    }

    pub(crate) fn id(&self) -> SessionId {
        self.opened.id
    }

    /// Who it belongs to.
    pub(crate) fn user(&self) -> &User {
        self.known.introduction.user()
    }

    /// What the app is told.
    pub(crate) fn introduction(&self) -> &RenderedIdentity {
        &self.known.introduction
    }

    /// The tokens by which the provider can be asked about it.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.known.session.tokens
    }

    /// What all requests of the session share in this process.
    pub(crate) fn live(&self) -> &SharedSession {
        &self.opened.live
    }

    /// Whether the session was ended here.
    pub(crate) fn has_ended(&self) -> bool {
        self.opened.live.has_ended()
    }

    /// Waits until the session is ended here, or has reached its greatest age.
    pub(crate) async fn ended(&self, clock: &Clock) {
        let left = self.opened.ends.saturating_sub(clock.now());
        tokio::select! {
            () = self.opened.live.ended() => {}
            () = tokio::time::sleep(Duration::from_secs(left)) => {}
        }
    }

    /// When the provider last gave its word.
    pub(super) fn checked(&self) -> UnixTime {
        self.known.session.checked
    }
}

impl fmt::Debug for SessionSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSnapshot").field("introduction", &self.introduction).finish_non_exhaustive()
    }
}

impl fmt::Debug for ActiveSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveSession").field("known", &self.known).finish_non_exhaustive()
    }
}
