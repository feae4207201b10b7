//! Sessions that go on: a confirmed identity or new tokens are stored, and travel
//! in a new cookie.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue};

use super::active::ActiveSession;
use super::cached::RenewedCookie;
use super::record::Session;
use super::sealing::Sealed;
use super::sessions::Sessions;
use super::settings::Freshness;
use super::store::StoreDown;
use crate::identity::{Person, Tokens};

impl Sessions {
    /// Cookie lines that replace the session's, if there is reason to: a tenth of
    /// the idle time has passed, more is known than is in it, or an old secret
    /// sealed it. Requests that come side by side get the same lines.
    pub(crate) fn renewal(
        &self,
        active: &ActiveSession,
        request: &HeaderMap,
    ) -> Option<Arc<Vec<HeaderValue>>> {
        let (cached, session) = (&active.cached, &active.snapshot.session);
        let now = self.clock.now();
        let stale = now.saturating_sub(cached.seen_when_sealed) > self.lifetimes.idle / 10;
        let outdated = self.store.is_none() && (stale || cached.version != session.version());
        if (!outdated && cached.by_first_secret) || cached.shared.has_ended() {
            return None;
        }
        if let Some(renewed) = &*cached.renewed.load()
            && renewed.version == session.version()
        {
            return Some(Arc::clone(&renewed.lines));
        }
        let remaining = self.lifetimes.max_age.saturating_sub(now.saturating_sub(session.began));
        let sealed = self.sealer.seal(&match self.store {
            Some(_) => Sealed::Ticket(session.id),
            None => Sealed::Whole(Box::new(Session { seen: now, ..session.clone() })),
        });
        let lines = Arc::new(self.cookies.set_session(&sealed, remaining, request));
        let renewed = RenewedCookie { version: session.version(), lines: Arc::clone(&lines) };
        cached.renewed.store(Some(Arc::new(renewed)));
        Some(lines)
    }

    /// Whether the provider's word on the session still counts.
    pub(crate) fn freshness(&self, active: &ActiveSession) -> Freshness {
        self.lifetimes.freshness(active.checked(), self.clock.now())
    }

    /// After how many seconds the provider is asked again, and for how many more
    /// its last word holds while it cannot be.
    pub(crate) fn intervals(&self) -> (u64, u64) {
        (self.lifetimes.revalidate, self.lifetimes.grace)
    }

    /// How many seconds are left until the provider is to be asked again.
    pub(crate) fn due_in(&self, active: &ActiveSession) -> u64 {
        let age = self.clock.now().saturating_sub(active.checked());
        self.lifetimes.revalidate.saturating_sub(age)
    }

    /// Takes in that the provider confirmed who the session belongs to.
    ///
    /// # Errors
    /// [`StoreDown`] if a server-side store could not be told.
    pub(crate) async fn confirm(&self, active: &ActiveSession, person: Person) -> Result<(), StoreDown> {
        let session = active.latest().snapshot.session.clone();
        self.update(active, Session { person, checked: self.clock.now(), ..session }).await
    }

    /// Takes in new tokens. The old ones may be worth nothing from now on.
    ///
    /// # Errors
    /// [`StoreDown`] if a server-side store could not be told.
    pub(crate) async fn keep_tokens(&self, active: &ActiveSession, tokens: Tokens) -> Result<(), StoreDown> {
        let session = active.latest().snapshot.session.clone();
        self.update(active, Session { tokens, ..session }).await
    }

    /// Whether a server-side store still has the session; another process may have
    /// ended it, or learnt more of it.
    ///
    /// # Errors
    /// [`StoreDown`] if it cannot be asked.
    pub(crate) async fn is_kept(&self, active: &ActiveSession) -> Result<bool, StoreDown> {
        let Some(store) = &self.store else { return Ok(true) };
        let Some(kept) = store.load(active.id(), self.clock.now()).await? else { return Ok(false) };
        if let Some(newer) = active.latest().snapshot.session.with_newer_of(&kept) {
            active.shared().update(self.snapshot_of(newer));
        }
        Ok(true)
    }

    async fn update(&self, active: &ActiveSession, session: Session) -> Result<(), StoreDown> {
        active.shared().update(self.snapshot_of(session.clone()));
        match &self.store {
            Some(store) => store.replace(&session).await,
            None => Ok(()),
        }
    }
}
