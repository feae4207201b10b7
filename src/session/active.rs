//! A session as one request finds it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cached::CachedSession;
use super::record::SessionId;
use super::shared_session::SharedSession;
use super::snapshot::SessionSnapshot;
use super::store::StoreDown;
use crate::clock::{Clock, UnixTime};
use crate::identity::{RenderedIdentity, Tokens, User};

/// What a request's cookies say.
#[derive(Debug, Clone)]
pub(crate) enum SessionLookup {
    /// No session, or a cookie that does not open.
    Nobody,
    /// A session in force.
    Session(ActiveSession),
    /// The store cannot be asked; the cookie may be good.
    Unknown(StoreDown),
}

/// The cookie that a session came in, and what was known of it at that moment.
#[derive(Clone)]
pub(crate) struct ActiveSession {
    pub(super) cached: Arc<CachedSession>,
    pub(super) snapshot: Arc<SessionSnapshot>,
}

impl ActiveSession {
    pub(super) fn of(cached: Arc<CachedSession>) -> Self {
        let snapshot = cached.shared.snapshot();
        Self { cached, snapshot }
    }

    /// The same session with what is known of it by now.
    pub(crate) fn latest(&self) -> Self {
        Self::of(Arc::clone(&self.cached))
    }

    pub(crate) fn id(&self) -> SessionId {
        self.cached.id
    }

    /// When the session ends at the latest.
    pub(super) fn ends(&self) -> UnixTime {
        self.cached.ends
    }

    /// The person it belongs to.
    pub(crate) fn user(&self) -> &User {
        self.snapshot.identity.user()
    }

    /// The identity that the app is told.
    pub(crate) fn identity(&self) -> &RenderedIdentity {
        &self.snapshot.identity
    }

    /// The tokens by which the provider can be asked about it.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.snapshot.session.tokens
    }

    /// What all requests of the session share in this process.
    pub(crate) fn shared(&self) -> &SharedSession {
        &self.cached.shared
    }

    /// Whether the session was ended here.
    pub(crate) fn has_ended(&self) -> bool {
        self.cached.shared.has_ended()
    }

    /// Waits until the session is ended here, or has reached its `max_age`.
    pub(crate) async fn ended(&self, clock: &Clock) {
        let left = self.cached.ends.saturating_sub(clock.now());
        tokio::select! {
            () = self.cached.shared.ended() => {}
            () = tokio::time::sleep(Duration::from_secs(left)) => {}
        }
    }

    /// When the provider last confirmed it.
    pub(super) fn checked(&self) -> UnixTime {
        self.snapshot.session.checked
    }
}

impl fmt::Debug for ActiveSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActiveSession").field("snapshot", &self.snapshot).finish_non_exhaustive()
    }
}
