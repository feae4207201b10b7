//! Sessions: begun at a sign-in, opened with every request, renewed, ended.

mod cached;
mod cookie;
mod inspect;
mod renewal;
mod revocation;
mod snapshot;
mod store;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, UnixTime};
use crate::identity::{AuthMethod, HeaderSettings, Person, RenderedIdentity, Tokens, User};
use crate::keys::{Keyring, Purpose, Secret, equal, random, sha256};

use cached::{CachedSession, RenewedCookie};
pub use cookie::SameSitePolicy;
pub(crate) use cookie::{Cookies, Replacement, find as find_cookie};
pub use inspect::{Inspected, SessionReport};
pub(crate) use revocation::RevalidationPermit;
use revocation::RevocationTable;
use snapshot::SessionSnapshot;
pub(crate) use snapshot::{ActiveSession, Freshness};
pub use store::StoreSettings;
pub(crate) use store::{Store, StoreDown};

/// How many characters of a sealed text tell it from all others: version, key id
/// and nonce are 17 bytes, and 24 characters of base64 hold 18.
const HANDLE: usize = 24;
/// The format of a sealed session; another one reads as signed out.
const FORMAT: u8 = 2;

/// How sessions are kept.
#[derive(Debug, Clone)]
pub struct SessionSettings {
    /// The first seals, all open.
    pub secrets: Vec<Secret>,
    /// The cookie's name, without the `__Host-` that https adds.
    pub cookie_name: String,
    /// When browsers send the cookie with requests that other sites cause.
    pub same_site: SameSitePolicy,
    /// A session ends when it was not used for so long.
    pub idle_timeout: Duration,
    /// A session ends so long after the sign-in, used or not.
    pub max_age: Duration,
    /// How long the provider's word on a person and their organisations counts
    /// before it is asked again.
    pub revalidate: Duration,
    /// How much longer it counts while the provider cannot be asked.
    pub revalidate_grace: Duration,
    /// Where sessions are kept.
    pub store: StoreSettings,
    /// How many opened sessions are kept ready, so that their requests neither
    /// decrypt nor sign. One takes about 4 kB.
    pub ready: usize,
}

impl SessionSettings {
    /// The defaults, with `secret`.
    #[must_use]
    pub fn new(secret: Secret) -> Self {
        Self {
            secrets: vec![secret],
            cookie_name: "huggate".to_owned(),
            same_site: SameSitePolicy::Lax,
            idle_timeout: Duration::from_secs(12 * 3600),
            max_age: Duration::from_secs(7 * 24 * 3600),
            revalidate: Duration::from_secs(15 * 60),
            revalidate_grace: Duration::from_secs(3600),
            store: StoreSettings::Cookie,
            ready: 8_192,
        }
    }
}

/// Names a session; new at each sign-in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct SessionId([u8; 16]);

impl From<[u8; 16]> for SessionId {
    fn from(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for SessionId {
    /// With a ticket's id alone nobody gets in, but it has no place in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(..)")
    }
}

/// A session, as it is sealed or stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) person: Person,
    pub(crate) began: UnixTime,
    pub(crate) seen: UnixTime,
    /// When the provider last said who this is.
    pub(crate) checked: UnixTime,
    /// By which it can be asked again.
    pub(crate) tokens: Tokens,
}

/// What tells two states of a session apart: when it was checked, and when its
/// token ends.
type SnapshotVersion = (UnixTime, Option<UnixTime>);

impl Session {
    fn stamp(&self) -> SnapshotVersion {
        (self.checked, self.tokens.expires)
    }

    /// This session with what is newer in `other`, if anything is: another process
    /// may have asked the provider, or refreshed the tokens.
    fn with_newer_of(&self, other: &Self) -> Option<Self> {
        let (checked, refreshed) = (other.checked > self.checked, other.tokens.expires > self.tokens.expires);
        if !checked && !refreshed {
            return None;
        }
        let mut merged = if checked { other.clone() } else { self.clone() };
        merged.tokens = if refreshed { other.tokens.clone() } else { self.tokens.clone() };
        Some(merged)
    }
}

/// What is inside a session cookie.
#[derive(Serialize, Deserialize)]
enum Sealed {
    /// The session itself.
    Whole(Box<Session>),
    /// The id of one in a server-side store.
    Ticket(SessionId),
}

/// What a request's cookies say.
#[derive(Debug, Clone)]
pub(crate) enum SessionLookup {
    /// No session, or nothing that opens: nobody.
    Nobody,
    /// A session in force.
    Session(ActiveSession),
    /// The store cannot be asked; the cookie may be good.
    Unknown(StoreDown),
}

/// Begins, opens, renews and ends sessions.
pub(crate) struct Sessions {
    keyring: Arc<Keyring>,
    cookies: Cookies,
    headers: HeaderSettings,
    audiences: usize,
    idle: u64,
    max_age: u64,
    revalidate: u64,
    grace: u64,
    store: Option<Arc<Store>>,
    register: Arc<RevocationTable>,
    opened: quick_cache::sync::Cache<[u8; HANDLE], Arc<CachedSession>>,
    fingerprint: [u8; 32],
    clock: Clock,
}

impl Sessions {
    /// `audiences`: how many apps an assertion can be meant for.
    pub(crate) fn new(
        settings: &SessionSettings,
        keyring: Arc<Keyring>,
        cookies: Cookies,
        headers: HeaderSettings,
        audiences: usize,
        clock: Clock,
    ) -> Self {
        Self {
            fingerprint: keyring.fingerprint_key(),
            keyring,
            cookies,
            headers,
            audiences,
            idle: settings.idle_timeout.as_secs(),
            max_age: settings.max_age.as_secs(),
            revalidate: settings.revalidate.as_secs(),
            grace: settings.revalidate_grace.as_secs(),
            store: match settings.store {
                StoreSettings::Cookie => None,
                StoreSettings::Memory => Some(Arc::new(Store::Memory(store::Memory::default()))),
            },
            register: Arc::default(),
            opened: quick_cache::sync::Cache::new(settings.ready),
            clock,
        }
    }

    /// The same, with what `before` knows: which sessions have ended, which are
    /// open, and those of its store if this one is of the same kind.
    pub(crate) fn with_state_of(self, before: &Self) -> Self {
        let store = match (&self.store, &before.store) {
            (Some(_), Some(before)) => Some(Arc::clone(before)),
            (own, _) => own.clone(),
        };
        Self { store, register: Arc::clone(&before.register), ..self }
    }

    /// Writes the headers of all open sessions anew, and tells whoever watches one.
    pub(crate) fn rebind(&self) {
        for live in self.register.open() {
            live.update(self.snapshot_of(live.known().session.clone()));
        }
    }

    /// The names and attributes of our cookies.
    pub(crate) fn cookies(&self) -> &Cookies {
        &self.cookies
    }

    /// Begins a session for `person` and returns the cookie lines. The session
    /// that the request came with, if any, ends: its id must not live on under a
    /// new trust (session fixation).
    ///
    /// # Errors
    /// [`StoreDown`] if a server-side store cannot take it.
    pub(crate) async fn begin(
        &self,
        person: Person,
        tokens: Tokens,
        request: &HeaderMap,
    ) -> Result<Vec<HeaderValue>, StoreDown> {
        if let SessionLookup::Session(old) = self.open(request).await {
            self.end_session(&old).await?;
        }
        let now = self.clock.now();
        let session =
            Session { id: SessionId(random()), person, began: now, seen: now, checked: now, tokens };
        let sealed = match &self.store {
            Some(store) => {
                store.save(&session, now + self.max_age, now).await?;
                self.seal(&Sealed::Ticket(session.id))
            }
            None => self.seal(&Sealed::Whole(Box::new(session))),
        };
        Ok(self.cookies.set_session(&sealed, self.max_age, request))
    }

    /// The session of a request. Opening one that was opened before neither
    /// waits nor decrypts.
    pub(crate) async fn open(&self, request: &HeaderMap) -> SessionLookup {
        let Some(sealed) = self.cookies.session(request) else { return SessionLookup::Nobody };
        let now = self.clock.now();
        if let Some(found) = self.cached(&sealed, now) {
            return found;
        }
        let Some((inside, current)) = self.unseal(&sealed) else { return SessionLookup::Nobody };
        let session = match (inside, &self.store) {
            (Sealed::Whole(session), None) => *session,
            (Sealed::Ticket(id), Some(store)) => match store.load(id, now).await {
                Ok(Some(session)) => session,
                Ok(None) => return SessionLookup::Nobody,
                Err(down) => return SessionLookup::Unknown(down),
            },
            // Sealed before the store was changed: signed out.
            (Sealed::Whole(_), Some(_)) | (Sealed::Ticket(_), None) => return SessionLookup::Nobody,
        };
        if !self.in_force(session.began, session.seen, now) {
            return SessionLookup::Nobody;
        }
        let (id, began, seen, stamp) = (session.id, session.began, session.seen, session.stamp());
        let Some(live) = self.register.enter(session, |session| self.snapshot_of(session), now) else {
            return SessionLookup::Nobody;
        };
        let opened = Arc::new(CachedSession {
            sealed: sealed.as_ref().into(),
            current,
            id,
            began,
            seen_when_sealed: seen,
            stamp,
            seen: AtomicU64::new(seen),
            ends: began.saturating_add(self.max_age),
            live,
            renewed: ArcSwapOption::empty(),
        });
        if let Some(handle) = handle(&sealed) {
            self.opened.insert(handle, Arc::clone(&opened));
        }
        SessionLookup::Session(ActiveSession::of(opened))
    }

    /// The answer, if this very cookie was opened before.
    fn cached(&self, sealed: &[u8], now: UnixTime) -> Option<SessionLookup> {
        let opened = self.opened.get(&handle(sealed)?)?;
        if !equal(&opened.sealed, sealed) {
            return None;
        }
        if opened.live.has_ended() || !self.in_force(opened.began, opened.seen(), now) {
            return Some(SessionLookup::Nobody);
        }
        if let Some(store) = &self.store
            && now > opened.seen()
        {
            opened.seen.store(now, Ordering::Relaxed);
            store.touch(opened.id, now);
        }
        Some(SessionLookup::Session(ActiveSession::of(opened)))
    }

    /// Whether a session is within both its limits. One from the future, sealed
    /// by a machine whose clock is ahead, counts as begun now.
    fn in_force(&self, began: UnixTime, seen: UnixTime, now: UnixTime) -> bool {
        now.saturating_sub(began) < self.max_age && now.saturating_sub(seen) < self.idle
    }

    /// Ends the session of a request and returns the lines that remove its
    /// cookies; they come even if there was no session to end.
    ///
    /// # Errors
    /// [`StoreDown`] if a server-side store still has it.
    pub(crate) async fn end(&self, request: &HeaderMap) -> Result<Vec<HeaderValue>, StoreDown> {
        match self.open(request).await {
            SessionLookup::Session(current) => self.end_session(&current).await?,
            SessionLookup::Nobody => {}
            SessionLookup::Unknown(down) => return Err(down),
        }
        Ok(self.cookies.remove_session(request))
    }

    /// Ends a session, for all its cookies.
    ///
    /// # Errors
    /// [`StoreDown`] if a server-side store still has it.
    pub(crate) async fn end_session(&self, session: &ActiveSession) -> Result<(), StoreDown> {
        self.register.end(session.id(), session.opened.ends, self.clock.now());
        match &self.store {
            Some(store) => store.remove(session.id()).await,
            None => Ok(()),
        }
    }

    fn snapshot_of(&self, session: Session) -> SessionSnapshot {
        let user = User::new(session.person.clone(), AuthMethod::Session);
        let headers = self.headers.render(&user, session.tokens.access.expose());
        let sid = self.fingerprint(session.id);
        SessionSnapshot { introduction: RenderedIdentity::new(user, sid, headers, self.audiences), session }
    }

    /// What stands for a session outside: nobody can go from it to the id.
    fn fingerprint(&self, id: SessionId) -> String {
        let mut input = [0; 48];
        let (key, rest) = input.split_at_mut(32);
        key.copy_from_slice(&self.fingerprint);
        rest.copy_from_slice(&id.0);
        URL_SAFE_NO_PAD.encode(sha256(&input).get(..16).unwrap_or_default())
    }

    fn seal(&self, inside: &Sealed) -> String {
        let plain =
            postcard::to_extend(inside, vec![FORMAT]).expect("writing plain data to memory does not fail");
        self.keyring.seal(Purpose::Session, self.cookies.session_name(), random(), &plain)
    }

    fn unseal(&self, sealed: &[u8]) -> Option<(Sealed, bool)> {
        let unsealed = self.keyring.open(Purpose::Session, self.cookies.session_name(), sealed)?;
        let (&FORMAT, plain) = unsealed.plain.split_first()? else { return None };
        Some((postcard::from_bytes(plain).ok()?, unsealed.current))
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The start of a sealed text, under which it is kept.
fn handle(sealed: &[u8]) -> Option<[u8; HANDLE]> {
    sealed.first_chunk().copied()
}

#[cfg(test)]
mod tests;
