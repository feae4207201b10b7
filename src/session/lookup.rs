//! Looks up the session of a request, without waiting unless a server-side store is used.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::header::HeaderMap;

use super::active::SessionLookup;
use super::cached::CachedSession;
use super::kept_state::KeptState;
use super::record::Session;
use super::sealing::{Sealed, Unsealed};
use super::sessions::{Sessions, handle};
use super::store::StoreDown;
use super::ticket::Ticket;
use crate::clock::{UnixMillis, UnixTime};
use crate::keys::equal;

/// The result that is available without waiting.
#[derive(Debug)]
pub(crate) enum ImmediateLookup {
    /// The lookup is complete.
    Done(SessionLookup),
    /// The store has to be asked.
    InStore(TicketedSession),
}

/// A ticket whose session is in a server-side store.
pub(crate) struct TicketedSession(Asked);

enum Asked {
    /// It is not cached in this process.
    Ticket { ticket: Ticket, sealed: Box<[u8]>, by_first_secret: bool },
    /// It is, and the store's last answer is too old.
    Again(Arc<CachedSession>),
}

impl fmt::Debug for TicketedSession {
    /// The sealed text is a cookie that signs somebody in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketedSession").finish_non_exhaustive()
    }
}

impl Sessions {
    /// The session of a request. Waits only for a server-side store.
    pub(crate) async fn open(&self, request: &HeaderMap) -> SessionLookup {
        match self.lookup(request) {
            ImmediateLookup::Done(lookup) => lookup,
            ImmediateLookup::InStore(ticket) => self.load(ticket).await,
        }
    }

    /// The session of a request, as far as this process knows it. A cached cookie is not
    /// decrypted again.
    pub(crate) fn lookup(&self, request: &HeaderMap) -> ImmediateLookup {
        let none = ImmediateLookup::Done(SessionLookup::Nobody);
        let Some(sealed) = self.cookies.session(request) else { return none };
        if let Some(found) = self.cached(&sealed) {
            return found;
        }
        let now = self.clock.now();
        let Some(Unsealed { content, by_first_secret }) = self.sealer.unseal(&sealed) else { return none };
        match (content, &self.backend.store) {
            (Sealed::Whole(_), None) if !self.knows_revocations() => {
                ImmediateLookup::Done(SessionLookup::Unknown(StoreDown))
            }
            (Sealed::Whole(session), None) => {
                let found = self.enter((*session, None), &sealed, by_first_secret, now);
                // Only now: what is entered ends with a time that is set later.
                ImmediateLookup::Done(self.unless_revoked(found, now))
            }
            (Sealed::Ticket(ticket), Some(_)) => {
                let sealed = sealed.as_ref().into();
                ImmediateLookup::InStore(TicketedSession(Asked::Ticket { ticket, sealed, by_first_secret }))
            }
            // It was encrypted for another kind of store: treated as signed out.
            (Sealed::Whole(_), Some(_)) | (Sealed::Ticket(_), None) => none,
        }
    }

    /// The ticket of a request, whether or not there is a session for it.
    pub(super) fn ticket(&self, request: &HeaderMap) -> Option<Ticket> {
        match self.sealer.unseal(&self.cookies.session(request)?)?.content {
            Sealed::Ticket(ticket) => Some(ticket),
            Sealed::Whole(_) => None,
        }
    }

    /// Loads the session of a ticket from the store.
    pub(crate) async fn load(&self, TicketedSession(asked): TicketedSession) -> SessionLookup {
        let Some(store) = &self.backend.store else { return SessionLookup::Nobody };
        let (ticket, sealed, by_first_secret) = match asked {
            Asked::Again(cached) => return self.ask_again(cached).await,
            Asked::Ticket { ticket, sealed, by_first_secret } => (ticket, sealed, by_first_secret),
        };
        let (now, asked) = (self.clock.now(), self.clock.now_millis());
        let stored = match store.load(ticket.id.key(), now).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return SessionLookup::Nobody,
            Err(down) => return SessionLookup::Unknown(down),
        };
        let Some(opened) = self.backend.vault.open(&ticket, &stored) else {
            tracing::warn!(sid = %ticket.id.key(), "the record of a session does not open; the person signs in again");
            return SessionLookup::Nobody;
        };
        let kept = KeptState::new(ticket, stored.revision, opened.enclosed.clone(), asked);
        let lookup = self.enter((opened.session.clone(), Some(kept)), &sealed, by_first_secret, now);
        // It may have been in use already, in an older revision.
        if let SessionLookup::Session(session) = &lookup {
            self.take(&session.cached.shared, &stored, opened, asked);
            return SessionLookup::Session(self.latest(session));
        }
        lookup
    }

    /// Loads a cached session again. While the store does not answer, it goes on for
    /// `store_grace`.
    async fn ask_again(&self, cached: Arc<CachedSession>) -> SessionLookup {
        let found = self.refresh(&cached.shared).await;
        let now = self.clock.now_millis();
        match found {
            Ok(true) if self.is_in_force(&cached, now) => {}
            Err(_) if self.is_in_force(&cached, now) && self.is_within_grace(&cached, now) => {}
            Err(down) => return SessionLookup::Unknown(down),
            Ok(_) => return SessionLookup::Nobody,
        }
        self.record_request(&cached, now);
        SessionLookup::Session(self.activate(cached))
    }

    /// Caches a decrypted session, if it is valid.
    pub(super) fn enter(
        &self,
        (session, kept): (Session, Option<KeptState>),
        sealed: &[u8],
        by_first_secret: bool,
        now: UnixTime,
    ) -> SessionLookup {
        // An open stream may have used the session since.
        let used_since = || {
            let last_use = self.backend.revocations.last_use(session.id.key())?;
            self.lifetimes.time_left(session.began, last_use, self.clock.now_millis())
        };
        if !self.lifetimes.in_force(session.began, session.seen, now) && used_since().is_none() {
            return SessionLookup::Nobody;
        }
        let (id, began, seen, version) = (session.id, session.began, session.seen, session.version());
        let entered =
            self.backend.revocations.enter((session, kept), |session| self.snapshot_of(session), now);
        let Some(shared) = entered else { return SessionLookup::Nobody };
        let cached = Arc::new(CachedSession {
            sealed: sealed.into(),
            by_first_secret,
            id,
            began,
            seen_when_sealed: seen,
            version,
            ends: began.saturating_add(self.lifetimes.max_age),
            shared,
            renewed: ArcSwapOption::empty(),
        });
        self.record_request(&cached, self.clock.now_millis());
        if let Some(handle) = handle(sealed) {
            self.cache.insert(handle, Arc::clone(&cached));
        }
        SessionLookup::Session(self.activate(cached))
    }

    /// The result for a cookie that is cached.
    fn cached(&self, sealed: &[u8]) -> Option<ImmediateLookup> {
        let cached = self.cache.get(&handle(sealed)?)?;
        if !equal(&cached.sealed, sealed) {
            return None;
        }
        let now = self.clock.now_millis();
        let nobody = Some(ImmediateLookup::Done(SessionLookup::Nobody));
        if cached.shared.has_ended() {
            return nobody;
        }
        let in_force = self.is_in_force(&cached, now);
        if self.lifetimes.cache.is_some() && !self.is_known(&cached, in_force, now) {
            return Some(ImmediateLookup::InStore(TicketedSession(Asked::Again(cached))));
        }
        if !in_force {
            return nobody;
        }
        self.record_request(&cached, now);
        Some(ImmediateLookup::Done(SessionLookup::Session(self.activate_at(cached, now / 1000))))
    }

    /// Whether a session is within its limits, as far as this process knows.
    fn is_in_force(&self, cached: &CachedSession, now: UnixMillis) -> bool {
        self.lifetimes.time_left(cached.began, cached.shared.last_use(), now).is_some()
    }
}
