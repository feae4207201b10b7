//! Begins and ends sessions, and holds their shared state.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Weak};

use http::header::{HeaderMap, HeaderValue, USER_AGENT};

use super::active::{ActiveSession, SessionLookup};
use super::admin::SessionAdmin;
use super::backend::Backend;
use super::cached::CachedSession;
use super::cookie::Cookies;
use super::fitting::{KeptOrgsSource, seal_to_fit};
use super::kept_state::KeptState;
use super::record::{Session, SessionId, SignInOrigin};
use super::sealing::{Sealed, SessionSealer, Unsealed};
use super::settings::{Lifetimes, SessionSettings};
use super::snapshot::SessionSnapshot;
use super::store::{Revision, StoreDown, StoreOpenError};
use super::ticket::Ticket;
use super::vault::{Enclosed, Extension, Origin, RecordTooLarge};
use crate::clock::{Clock, UnixTime};
use crate::identity::{AppClaims, IdentityRenderer, Person, ProviderSession, Tokens, User};
use crate::keys::{Keyring, SecretString, random};

/// The number of characters that identify an encrypted text: version, key id and nonce
/// are 17 bytes, and 24 characters of base64 hold 18.
const HANDLE: usize = 24;

/// Begins, looks up, renews and ends sessions.
pub(crate) struct Sessions {
    pub(super) sealer: SessionSealer,
    pub(super) cookies: Cookies,
    pub(super) renderer: IdentityRenderer,
    pub(super) lifetimes: Lifetimes,
    pub(super) backend: Arc<Backend>,
    pub(super) cache: quick_cache::sync::Cache<[u8; HANDLE], Arc<CachedSession>>,
    /// The organisations that a session keeps, however large it is.
    pub(super) kept_orgs: KeptOrgsSource,
    /// Greater than that of the settings before a reload. What one of them rendered is
    /// not used by the next, whenever it was written.
    generation: u64,
    pub(super) clock: Clock,
    /// This value, for tasks.
    pub(super) own: Weak<Self>,
}

/// A session to begin.
pub(crate) struct NewSession {
    pub(crate) person: Person,
    pub(crate) tokens: Tokens,
    /// The app's own.
    pub(crate) claims: AppClaims,
    pub(crate) provider_session: ProviderSession,
}

/// A session of a request that has ended.
pub(crate) struct Ended {
    /// The lines that remove its cookies; there are some without a session as well.
    pub(crate) cookies: Vec<HeaderValue>,
    /// Whose it was; `None` if there was none, or something else had ended it here.
    pub(crate) user: Option<User>,
    /// The ID token of its sign-in, if the store kept it.
    pub(crate) id_token: Option<SecretString>,
}

/// Why a session did not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotBegun {
    /// It could not be saved in a server-side store.
    StoreDown,
    /// It does not fit the cookies of a browser.
    TooLarge,
}

impl From<StoreDown> for NotBegun {
    fn from(StoreDown: StoreDown) -> Self {
        Self::StoreDown
    }
}

impl From<RecordTooLarge> for NotBegun {
    fn from(RecordTooLarge: RecordTooLarge) -> Self {
        Self::TooLarge
    }
}

impl Sessions {
    /// Sessions as `settings` have them. They take over the state of `before` across a reload:
    /// ended sessions, sessions in use, and the store if it is the same.
    ///
    /// # Errors
    /// The store's file cannot be opened.
    pub(crate) fn new(
        settings: &SessionSettings,
        keyring: Arc<Keyring>,
        cookies: Cookies,
        renderer: IdentityRenderer,
        clock: Clock,
        before: Option<&Self>,
    ) -> Result<Self, StoreOpenError> {
        let former = before.map(|before| &*before.backend);
        let backend = Backend::open(settings, Arc::clone(&keyring), clock.clone(), former)?;
        Ok(Self {
            backend: Arc::new(backend),
            sealer: SessionSealer::new(keyring, cookies.session_name()),
            cookies,
            renderer,
            lifetimes: settings.lifetimes(),
            cache: quick_cache::sync::Cache::new(settings.cached_sessions),
            kept_orgs: KeptOrgsSource::all(),
            generation: before.map_or(0, |before| before.generation + 1),
            clock,
            own: Weak::new(),
        })
    }

    /// Lets a session that is too large for a cookie leave out organisations that
    /// `kept_orgs` does not name.
    pub(crate) fn with_kept_orgs(self, kept_orgs: KeptOrgsSource) -> Self {
        Self { kept_orgs, ..self }
    }

    /// The same value, which can begin tasks of its own.
    pub(crate) fn with_tasks(mut self) -> Arc<Self> {
        Arc::new_cyclic(move |own| {
            self.own = own.clone();
            self
        })
    }

    /// Lists and ends sessions for operators, and for people who look at their own.
    pub(crate) fn admin(&self) -> SessionAdmin {
        SessionAdmin::of(Arc::clone(&self.backend))
    }

    /// Renders the identity of all sessions in use with these settings, and wakes the
    /// tasks that wait for a change.
    pub(crate) fn rebind(self: &Arc<Self>) {
        self.attach();
        for shared in self.backend.revocations.open() {
            shared.update(self.snapshot_of(shared.snapshot().session.clone()));
        }
    }

    /// The names and attributes of the gate's cookies.
    pub(crate) fn cookies(&self) -> &Cookies {
        &self.cookies
    }

    /// Begins a session for `person` and returns the cookie lines. The session that the
    /// request came with, if any, ends: its id must not be valid for the new identity
    /// (session fixation). One that another tab has begun for the same person since
    /// `origin` goes on instead: its streams are open, and a second session would not end
    /// with it. `claims` are the app's own; a session that goes on keeps those that it has.
    ///
    /// # Errors
    /// [`NotBegun`] if the session cannot be saved in a server-side store, or does not fit
    /// cookies.
    pub(crate) async fn begin(
        &self,
        new: NewSession,
        origin: &SignInOrigin,
        (request, client): (&HeaderMap, Option<IpAddr>),
    ) -> Result<Vec<HeaderValue>, NotBegun> {
        let NewSession { person, tokens, claims, provider_session } = new;
        let old = match self.open(request).await {
            SessionLookup::Session(old) => Some(old),
            SessionLookup::Nobody | SessionLookup::Unknown(_) => None,
        };
        let present = old.as_ref().map(|old| &old.cached.shared);
        if let Some(shared) = self.begun_meanwhile(&person, origin, present) {
            return self.take_over(&shared, (person, tokens, provider_session), request).await;
        }
        self.end_session_of(request).await?;
        let now = self.clock.now();
        let mut session = Session {
            id: SessionId::new(origin.browser, random()),
            person: person.into(),
            began: now,
            seen: now,
            checked: now,
            tokens,
            claims,
        };
        session.began = self.backend.not_before.beginning(&session, now);
        let (sealed, kept) = match &self.backend.store {
            Some(store) => {
                let ticket = Ticket::new(session.id);
                let agent = request.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
                let extensions = Extension::of_provider(&provider_session);
                let enclosed = Enclosed { origin: Origin::new(client, agent), extensions };
                let expires = self.lifetimes.forgotten(now, now);
                let record =
                    self.backend.vault.seal(&ticket, Revision::FIRST, (&session, &enclosed), expires)?;
                let asked = self.clock.now_millis();
                // First, so that no session begins that its person's name does not find.
                self.note_name(&session).await?;
                self.note_provider_session(&session, &provider_session).await?;
                store.create(ticket.id.key(), record, now).await?;
                let sealed = self.sealer.seal_ticket(&ticket);
                (sealed, Some(KeptState::new(ticket, Revision::FIRST, enclosed, asked)))
            }
            None => {
                let sealed = seal_to_fit(&self.sealer, &session, &self.kept_orgs.now());
                (sealed.map_err(|_| NotBegun::TooLarge)?, None)
            }
        };
        self.remember((session, kept), &sealed, now);
        Ok(self.cookies.set_session(&sealed, self.lifetimes.max_age, request))
    }

    /// Ends the session of a request, if there is one.
    ///
    /// # Errors
    /// [`StoreDown`] if it could not be removed from a server-side store.
    pub(crate) async fn end(&self, request: &HeaderMap) -> Result<Ended, StoreDown> {
        let (user, id_token) = match self.open(request).await {
            SessionLookup::Session(session) => (Some(session.user().clone()), session.id_token()),
            SessionLookup::Nobody | SessionLookup::Unknown(_) => (None, None),
        };
        let is_first = self.end_session_of(request).await?;
        let cookies = self.cookies.remove_session(request);
        Ok(Ended { cookies, user: user.filter(|_| is_first), id_token })
    }

    /// Ends the session of a request, and returns whether there was one that nothing else had
    /// ended here. A store is told by the ticket alone, also of a session that has ended here
    /// and may not have there.
    async fn end_session_of(&self, request: &HeaderMap) -> Result<bool, StoreDown> {
        if self.backend.store.is_some() {
            let Some(ticket) = self.ticket(request) else { return Ok(false) };
            let until = self.clock.now() + self.lifetimes.max_age;
            return self.end_everywhere(ticket.id.key(), until).await;
        }
        match self.open(request).await {
            SessionLookup::Session(session) => self.end_session(&session).await,
            SessionLookup::Nobody => Ok(self.end_superseded(request)),
            SessionLookup::Unknown(down) => Err(down),
        }
    }

    /// Ends the session of a cookie that is refused for its tokens: one with newer tokens would
    /// be valid.
    fn end_superseded(&self, request: &HeaderMap) -> bool {
        let unsealed = self.cookies.session(request).and_then(|sealed| self.sealer.unseal(&sealed));
        let Some(Unsealed { content: Sealed::Whole(session), .. }) = unsealed else { return false };
        let (key, until) = (session.id.key(), session.began.saturating_add(self.lifetimes.max_age));
        let revocations = &self.backend.revocations;
        revocations.is_superseded(key) && revocations.end(key, until, self.clock.now())
    }

    /// Ends a session whose tokens the provider refused. A session in a cookie goes on with
    /// newer tokens: another process may have used the refresh token, and then the browser has
    /// a cookie with new ones. `false` if this process has had that cookie by now.
    ///
    /// # Errors
    /// [`StoreDown`] if it could not be removed from a server-side store.
    pub(crate) async fn end_tokens(
        &self,
        active: &ActiveSession,
        refused: &Tokens,
    ) -> Result<bool, StoreDown> {
        if self.backend.store.is_some() {
            return self.end_session(active).await;
        }
        Ok(self.backend.revocations.supersede(&active.cached.shared, refused, active.ends()))
    }

    /// Ends a session, with all its cookies. Returns whether nothing else had ended it here.
    ///
    /// # Errors
    /// [`StoreDown`] if it could not be removed from a server-side store.
    pub(crate) async fn end_session(&self, session: &ActiveSession) -> Result<bool, StoreDown> {
        self.end_everywhere(session.id().key(), session.ends()).await
    }

    /// The snapshot of a session's content, with the rendered identity.
    pub(super) fn snapshot_of(&self, session: Session) -> SessionSnapshot {
        let user = User::of_session(Arc::clone(&session.person), &session.claims);
        let sid = session.id.key().to_string();
        let identity = self.renderer.render(user, sid, session.tokens.access.expose());
        SessionSnapshot { identity, session, generation: self.generation }
    }

    /// A cached session with its current state, rendered by these settings. A
    /// revalidation that began before a reload may have written what the settings before
    /// rendered.
    pub(super) fn activate(&self, cached: Arc<CachedSession>) -> ActiveSession {
        self.activate_at(cached, self.clock.now())
    }

    /// The same at a time that the caller has read.
    pub(super) fn activate_at(&self, cached: Arc<CachedSession>, at: UnixTime) -> ActiveSession {
        let snapshot = cached.shared.snapshot();
        if snapshot.generation == self.generation {
            return ActiveSession { cached, snapshot, at };
        }
        let own = Arc::new(self.snapshot_of(snapshot.session.clone()));
        if snapshot.generation < self.generation {
            cached.shared.replace(&snapshot, &own);
        }
        ActiveSession { cached, snapshot: own, at }
    }

    /// The same session with its current state.
    pub(crate) fn latest(&self, session: &ActiveSession) -> ActiveSession {
        self.activate(Arc::clone(&session.cached))
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("store", &self.backend.store).finish_non_exhaustive()
    }
}

/// The start of an encrypted text, which is its cache key.
pub(super) fn handle(sealed: &[u8]) -> Option<[u8; HANDLE]> {
    sealed.first_chunk().copied()
}
