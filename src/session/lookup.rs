//! Looks up the session of a request, without waiting unless a server-side store is used.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::header::HeaderMap;

use super::active::SessionLookup;
use super::cached::CachedSession;
use super::record::{Session, SessionId};
use super::sealing::{Sealed, Unsealed};
use super::sessions::{Sessions, handle};
use crate::clock::UnixTime;
use crate::keys::equal;

/// The result that is available without waiting.
#[derive(Debug)]
pub(crate) enum ImmediateLookup {
    /// The lookup is complete.
    Done(SessionLookup),
    /// The cookie is a ticket that is not cached in this process.
    InStore(TicketedSession),
}

/// A ticket whose session is in a server-side store.
pub(crate) struct TicketedSession {
    id: SessionId,
    sealed: Box<[u8]>,
    by_first_secret: bool,
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
        let now = self.clock.now();
        if let Some(found) = self.cached(&sealed) {
            return ImmediateLookup::Done(found);
        }
        let Some(Unsealed { content, by_first_secret }) = self.sealer.unseal(&sealed) else { return none };
        match (content, &self.store) {
            (Sealed::Whole(session), None) => {
                ImmediateLookup::Done(self.enter(*session, &sealed, by_first_secret, now))
            }
            (Sealed::Ticket(id), Some(_)) => {
                let sealed = sealed.as_ref().into();
                ImmediateLookup::InStore(TicketedSession { id, sealed, by_first_secret })
            }
            // It was encrypted for another kind of store: treated as signed out.
            (Sealed::Whole(_), Some(_)) | (Sealed::Ticket(_), None) => none,
        }
    }

    /// Loads the session of a ticket from the store.
    pub(crate) async fn load(&self, ticket: TicketedSession) -> SessionLookup {
        let Some(store) = &self.store else { return SessionLookup::Nobody };
        let now = self.clock.now();
        match store.load(ticket.id, now).await {
            Ok(Some(session)) => self.enter(session, &ticket.sealed, ticket.by_first_secret, now),
            Ok(None) => SessionLookup::Nobody,
            Err(down) => SessionLookup::Unknown(down),
        }
    }

    /// Caches a decrypted session, if it is valid.
    pub(super) fn enter(
        &self,
        session: Session,
        sealed: &[u8],
        by_first_secret: bool,
        now: UnixTime,
    ) -> SessionLookup {
        // An open stream may have used the session since.
        let used_since = || {
            let last_use = self.revocations.last_use(session.id)?;
            self.lifetimes.time_left(session.began, last_use, self.clock.now_millis())
        };
        if !self.lifetimes.in_force(session.began, session.seen, now) && used_since().is_none() {
            return SessionLookup::Nobody;
        }
        let (id, began, seen, version) = (session.id, session.began, session.seen, session.version());
        let Some(shared) = self.revocations.enter(session, |session| self.snapshot_of(session), now) else {
            return SessionLookup::Nobody;
        };
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
    fn cached(&self, sealed: &[u8]) -> Option<SessionLookup> {
        let cached = self.cache.get(&handle(sealed)?)?;
        if !equal(&cached.sealed, sealed) {
            return None;
        }
        let (last_use, now) = (cached.shared.last_use(), self.clock.now_millis());
        if cached.shared.has_ended() || self.lifetimes.time_left(cached.began, last_use, now).is_none() {
            return Some(SessionLookup::Nobody);
        }
        self.record_request(&cached, now);
        Some(SessionLookup::Session(self.activate(cached)))
    }
}
