//! Sessions that go on: what the provider says anew is taken in, and travels in
//! a new cookie.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue};

use super::snapshot::{ActiveSession, Freshness};
use super::{RenewedCookie, Sealed, Session, Sessions, StoreDown};
use crate::identity::{Person, Tokens};

impl Sessions {
    /// Cookie lines that replace the session's, if there is reason to: a tenth of
    /// the idle time has passed, more is known than is in it, or an old secret
    /// sealed it. Requests that come side by side get the same lines.
    pub(crate) fn renewal(
        &self,
        current: &ActiveSession,
        request: &HeaderMap,
    ) -> Option<Arc<Vec<HeaderValue>>> {
        let (opened, known) = (&current.opened, &current.known.session);
        let now = self.clock.now();
        let stale = now.saturating_sub(opened.seen_when_sealed) > self.idle / 10;
        let outdated = self.store.is_none() && (stale || opened.stamp != known.stamp());
        if (!outdated && opened.current) || opened.live.has_ended() {
            return None;
        }
        if let Some(renewed) = &*opened.renewed.load()
            && renewed.stamp == known.stamp()
        {
            return Some(Arc::clone(&renewed.lines));
        }
        let remaining = self.max_age.saturating_sub(now.saturating_sub(known.began));
        let sealed = self.seal(&match self.store {
            Some(_) => Sealed::Ticket(known.id),
            None => Sealed::Whole(Box::new(Session { seen: now, ..known.clone() })),
        });
        let lines = Arc::new(self.cookies.set_session(&sealed, remaining, request));
        let renewed = RenewedCookie { stamp: known.stamp(), lines: Arc::clone(&lines) };
        opened.renewed.store(Some(Arc::new(renewed)));
        Some(lines)
    }

    /// Whether the provider's word on the session still counts.
    pub(crate) fn freshness(&self, current: &ActiveSession) -> Freshness {
        match self.clock.now().saturating_sub(current.checked()) {
            age if age < self.revalidate => Freshness::Fresh,
            age if age < self.revalidate.saturating_add(self.grace) => Freshness::Stale,
            _ => Freshness::Expired,
        }
    }

    /// After how many seconds the provider is asked again, and for how many more
    /// its last word holds while it cannot be.
    pub(crate) fn intervals(&self) -> (u64, u64) {
        (self.revalidate, self.grace)
    }

    /// How many seconds are left until the provider is to be asked again.
    pub(crate) fn due_in(&self, current: &ActiveSession) -> u64 {
        let age = self.clock.now().saturating_sub(current.checked());
        self.revalidate.saturating_sub(age)
    }

    /// Takes in that the provider confirmed who the session belongs to.
    ///
    /// # Errors
    /// [`StoreDown`] if a server-side store could not be told.
    pub(crate) async fn confirm(&self, current: &ActiveSession, person: Person) -> Result<(), StoreDown> {
        let known = current.latest().known.session.clone();
        self.update(current, Session { person, checked: self.clock.now(), ..known }).await
    }

    /// Takes in new tokens. The old ones may be worth nothing from now on.
    ///
    /// # Errors
    /// [`StoreDown`] if a server-side store could not be told.
    pub(crate) async fn keep_tokens(&self, current: &ActiveSession, tokens: Tokens) -> Result<(), StoreDown> {
        let known = current.latest().known.session.clone();
        self.update(current, Session { tokens, ..known }).await
    }

    /// Whether a server-side store still has the session; another process may have
    /// ended it, or learnt more of it.
    ///
    /// # Errors
    /// [`StoreDown`] if it cannot be asked.
    pub(crate) async fn is_kept(&self, current: &ActiveSession) -> Result<bool, StoreDown> {
        let Some(store) = &self.store else { return Ok(true) };
        let Some(kept) = store.load(current.id(), self.clock.now()).await? else { return Ok(false) };
        if let Some(newer) = current.latest().known.session.with_newer_of(&kept) {
            current.live().update(self.snapshot_of(newer));
        }
        Ok(true)
    }

    async fn update(&self, current: &ActiveSession, session: Session) -> Result<(), StoreDown> {
        current.live().update(self.snapshot_of(session.clone()));
        match &self.store {
            Some(store) => store.replace(&session).await,
            None => Ok(()),
        }
    }
}
