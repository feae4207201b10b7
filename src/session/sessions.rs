//! Begins and ends sessions, and holds their shared state.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderMap, HeaderValue};

use super::active::{ActiveSession, SessionLookup};
use super::cached::CachedSession;
use super::cookie::Cookies;
use super::fitting::{KeptOrgsSource, seal_to_fit};
use super::record::{Session, SessionId, SignInOrigin};
use super::revocation::RevocationTable;
use super::sealing::SessionSealer;
use super::settings::{Lifetimes, SessionSettings};
use super::snapshot::SessionSnapshot;
use super::store::{Store, StoreDown};
use crate::clock::Clock;
use crate::identity::{AuthMethod, IdentityRenderer, Person, Tokens, User};
use crate::keys::{Keyring, random, sha256};

/// The number of characters that identify an encrypted text: version, key id and nonce
/// are 17 bytes, and 24 characters of base64 hold 18.
const HANDLE: usize = 24;

/// Begins, looks up, renews and ends sessions.
pub(crate) struct Sessions {
    pub(super) sealer: SessionSealer,
    pub(super) cookies: Cookies,
    pub(super) renderer: IdentityRenderer,
    pub(super) lifetimes: Lifetimes,
    pub(super) store: Option<Arc<Store>>,
    pub(super) revocations: Arc<RevocationTable>,
    pub(super) cache: quick_cache::sync::Cache<[u8; HANDLE], Arc<CachedSession>>,
    /// The key of the hash that replaces a session's id outside this process.
    fingerprint_key: [u8; 32],
    /// The organisations that a session keeps, however large it is.
    pub(super) kept_orgs: KeptOrgsSource,
    /// Greater than that of the settings before a reload. What one of them rendered is
    /// not used by the next, whenever it was written.
    generation: u64,
    pub(super) clock: Clock,
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

impl Sessions {
    pub(crate) fn new(
        settings: &SessionSettings,
        keyring: Arc<Keyring>,
        cookies: Cookies,
        renderer: IdentityRenderer,
        clock: Clock,
    ) -> Self {
        Self {
            fingerprint_key: keyring.fingerprint_key(),
            sealer: SessionSealer::new(keyring, cookies.session_name()),
            cookies,
            renderer,
            lifetimes: settings.lifetimes(),
            store: Store::open(settings.store).map(Arc::new),
            revocations: Arc::default(),
            cache: quick_cache::sync::Cache::new(settings.cached_sessions),
            kept_orgs: KeptOrgsSource::all(),
            generation: 0,
            clock,
        }
    }

    /// Lets a session that is too large for a cookie leave out organisations that
    /// `kept_orgs` does not name.
    pub(crate) fn with_kept_orgs(self, kept_orgs: KeptOrgsSource) -> Self {
        Self { kept_orgs, ..self }
    }

    /// Takes over the state of `before` across a reload: ended sessions, sessions in use,
    /// and the store's sessions if it is of the same kind.
    pub(crate) fn with_state_of(self, before: &Self) -> Self {
        let store = match (&self.store, &before.store) {
            (Some(_), Some(before)) => Some(Arc::clone(before)),
            (own, _) => own.clone(),
        };
        let generation = before.generation + 1;
        Self { store, revocations: Arc::clone(&before.revocations), generation, ..self }
    }

    /// Renders the identity of all sessions in use with these settings, and wakes the
    /// tasks that wait for a change.
    pub(crate) fn rebind(&self) {
        for shared in self.revocations.open() {
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
    /// with it.
    ///
    /// # Errors
    /// [`NotBegun`] if the session cannot be saved in a server-side store, or does not fit
    /// cookies.
    pub(crate) async fn begin(
        &self,
        person: Person,
        tokens: Tokens,
        origin: &SignInOrigin,
        request: &HeaderMap,
    ) -> Result<Vec<HeaderValue>, NotBegun> {
        let old = match self.open(request).await {
            SessionLookup::Session(old) => Some(old),
            SessionLookup::Nobody | SessionLookup::Unknown(_) => None,
        };
        let present = old.as_ref().map(|old| &old.cached.shared);
        if let Some(shared) = self.begun_meanwhile(&person, origin, present) {
            return self.take_over(&shared, person, tokens, request).await;
        }
        if let Some(old) = old {
            self.end_session(&old).await?;
        }
        let now = self.clock.now();
        let session = Session {
            id: SessionId::new(origin.browser, random()),
            person: person.into(),
            began: now,
            seen: now,
            checked: now,
            tokens,
        };
        let sealed = match &self.store {
            Some(store) => {
                store.save(&session, now + self.lifetimes.max_age, now).await?;
                self.sealer.seal_ticket(session.id)
            }
            None => {
                seal_to_fit(&self.sealer, &session, &self.kept_orgs.now()).map_err(|_| NotBegun::TooLarge)?
            }
        };
        self.remember(session, &sealed, now);
        Ok(self.cookies.set_session(&sealed, self.lifetimes.max_age, request))
    }

    /// Ends the session of a request and returns the lines that remove its cookies, even
    /// if there was no session to end.
    ///
    /// # Errors
    /// [`StoreDown`] if it could not be removed from a server-side store.
    pub(crate) async fn end(&self, request: &HeaderMap) -> Result<Vec<HeaderValue>, StoreDown> {
        match self.open(request).await {
            SessionLookup::Session(session) => self.end_session(&session).await?,
            SessionLookup::Nobody => {}
            SessionLookup::Unknown(down) => return Err(down),
        }
        Ok(self.cookies.remove_session(request))
    }

    /// Ends a session, with all its cookies.
    ///
    /// # Errors
    /// [`StoreDown`] if it could not be removed from a server-side store.
    pub(crate) async fn end_session(&self, session: &ActiveSession) -> Result<(), StoreDown> {
        self.revocations.end(session.id(), session.ends(), self.clock.now());
        match &self.store {
            Some(store) => store.remove(session.id()).await,
            None => Ok(()),
        }
    }

    /// The snapshot of a session's content, with the rendered identity.
    pub(super) fn snapshot_of(&self, session: Session) -> SessionSnapshot {
        let user = User::new(Arc::clone(&session.person), AuthMethod::Session);
        let sid = self.fingerprint(session.id);
        let identity = self.renderer.render(user, sid, session.tokens.access.expose());
        SessionSnapshot { identity, session, generation: self.generation }
    }

    /// A cached session with its current state, rendered by these settings. A
    /// revalidation that began before a reload may have written what the settings before
    /// rendered.
    pub(super) fn activate(&self, cached: Arc<CachedSession>) -> ActiveSession {
        let snapshot = cached.shared.snapshot();
        if snapshot.generation == self.generation {
            return ActiveSession { cached, snapshot };
        }
        let own = Arc::new(self.snapshot_of(snapshot.session.clone()));
        if snapshot.generation < self.generation {
            cached.shared.replace(&snapshot, &own);
        }
        ActiveSession { cached, snapshot: own }
    }

    /// The same session with its current state.
    pub(crate) fn latest(&self, session: &ActiveSession) -> ActiveSession {
        self.activate(Arc::clone(&session.cached))
    }

    /// The public fingerprint of a session: a hash that does not reveal the id.
    fn fingerprint(&self, id: SessionId) -> String {
        let mut input = [0; 48];
        let (key, rest) = input.split_at_mut(32);
        key.copy_from_slice(&self.fingerprint_key);
        rest.copy_from_slice(&id.0);
        URL_SAFE_NO_PAD.encode(sha256(&input).get(..16).unwrap_or_default())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The start of an encrypted text, which is its cache key.
pub(super) fn handle(sealed: &[u8]) -> Option<[u8; HANDLE]> {
    sealed.first_chunk().copied()
}
