//! The session of one request.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::cached::CachedSession;
use super::kept_state::KeptState;
use super::listing::{ListedSession, SessionKind};
use super::record::SessionId;
use super::shared_session::SharedSession;
use super::snapshot::SessionSnapshot;
use super::store::StoreDown;
use crate::clock::{Clock, UnixTime};
use crate::identity::{RenderedIdentity, Tokens, User};
use crate::keys::SecretString;

/// The result of looking up a request's session.
#[derive(Debug, Clone)]
pub(crate) enum SessionLookup {
    /// No session, or a cookie that cannot be decrypted.
    Nobody,
    /// A valid session.
    Session(ActiveSession),
    /// The store is unavailable; the session may be valid.
    Unknown(StoreDown),
}

/// The session cookie of a request, and the session's snapshot at that time.
#[derive(Clone)]
pub(crate) struct ActiveSession {
    pub(super) cached: Arc<CachedSession>,
    pub(super) snapshot: Arc<SessionSnapshot>,
    /// When it was looked up, so that the steps of a request do not read the clock again.
    pub(super) at: UnixTime,
}

impl ActiveSession {
    /// The same session with its current snapshot.
    pub(crate) fn latest(&self) -> Self {
        let snapshot = self.cached.shared.snapshot();
        Self { cached: Arc::clone(&self.cached), snapshot, at: self.at }
    }

    pub(crate) fn id(&self) -> SessionId {
        self.cached.id
    }

    /// What a list shows of it, asked for by this client.
    pub(crate) fn listed(&self, client: Option<IpAddr>, user_agent: &str) -> ListedSession {
        let session = &self.snapshot.session;
        ListedSession {
            id: session.id.key(),
            sub: session.person.sub.to_string(),
            username: session.person.username.to_string(),
            created: session.began,
            last_used: self.cached.shared.last_use() / 1000,
            expires: self.ends(),
            client,
            user_agent: user_agent.to_owned(),
            kind: SessionKind::Browser,
            provider_sid: None,
        }
    }

    /// When the session ends at the latest.
    pub(super) fn ends(&self) -> UnixTime {
        self.cached.ends
    }

    /// The person it belongs to.
    pub(crate) fn user(&self) -> &User {
        self.snapshot.identity.user()
    }

    /// The identity that the app receives.
    pub(crate) fn identity(&self) -> &RenderedIdentity {
        &self.snapshot.identity
    }

    /// The ID token of the sign-in, if the store keeps it.
    pub(crate) fn id_token(&self) -> Option<SecretString> {
        self.cached.shared.kept.as_ref().and_then(KeptState::id_token)
    }

    /// The tokens for requests to the provider.
    pub(crate) fn tokens(&self) -> &Tokens {
        &self.snapshot.session.tokens
    }

    /// The state that all requests of the session share in this process.
    pub(crate) fn shared(&self) -> &SharedSession {
        &self.cached.shared
    }

    /// Whether the session was ended in this process.
    pub(crate) fn has_ended(&self) -> bool {
        self.cached.shared.has_ended()
    }

    /// Records that the session is in use.
    pub(crate) fn record_use(&self, clock: &Clock) {
        self.cached.shared.record_use(clock.now_millis());
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
