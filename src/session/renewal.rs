//! Session renewal: a confirmed identity or new tokens are stored, and sent in a new
//! cookie.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue};

use super::active::ActiveSession;
use super::cached::RenewedCookie;
use super::fitting::seal_to_fit;
use super::record::Session;
use super::sessions::Sessions;
use super::settings::Freshness;
use super::store::StoreDown;
use crate::identity::{Person, Tokens};

impl Sessions {
    /// Cookie lines that replace the session's, if necessary: a tenth of the idle timeout
    /// has passed, the cookie's content is outdated, or an old secret encrypted it.
    /// Concurrent requests get the same lines.
    pub(crate) fn renewal(
        &self,
        active: &ActiveSession,
        request: &HeaderMap,
    ) -> Option<Arc<Vec<HeaderValue>>> {
        let (cached, session) = (&active.cached, &active.snapshot.session);
        let now = active.at;
        let stale = now.saturating_sub(cached.seen_when_sealed) > self.lifetimes.idle / 10;
        let outdated = self.backend.store.is_none()
            && (stale || !session.is_in(cached.version, self.kept_orgs.filter()));
        if (!outdated && cached.by_first_secret) || cached.shared.has_ended() {
            return None;
        }
        if let Some(renewed) = &*cached.renewed.load()
            && renewed.version == session.version()
        {
            return Some(Arc::clone(&renewed.lines));
        }
        let remaining = self.lifetimes.max_age.saturating_sub(now.saturating_sub(session.began));
        let sealed = match &cached.shared.kept {
            Some(kept) => self.sealer.seal_ticket(&kept.ticket),
            None => {
                let session = Session { seen: now, ..session.clone() };
                seal_to_fit(&self.sealer, &session, &self.kept_orgs.now()).ok()?
            }
        };
        let lines = Arc::new(self.cookies.set_session(&sealed, remaining, request));
        let renewed = RenewedCookie { version: session.version(), lines: Arc::clone(&lines) };
        cached.renewed.store(Some(Arc::new(renewed)));
        Some(lines)
    }

    /// Whether the provider's last answer about the session is still valid.
    pub(crate) fn freshness(&self, active: &ActiveSession) -> Freshness {
        self.lifetimes.freshness(active.checked(), self.clock.now())
    }

    /// The same at the time of the lookup.
    pub(crate) fn freshness_at_lookup(&self, active: &ActiveSession) -> Freshness {
        self.lifetimes.freshness(active.checked(), active.at)
    }

    /// The seconds after which the provider is contacted again, and the seconds for which
    /// its last answer stays valid beyond that while it is unavailable.
    pub(crate) fn intervals(&self) -> (u64, u64) {
        (self.lifetimes.revalidate, self.lifetimes.grace)
    }

    /// Seconds until the next request to the provider is due.
    pub(crate) fn due_in(&self, active: &ActiveSession) -> u64 {
        let age = self.clock.now().saturating_sub(active.checked());
        self.lifetimes.revalidate.saturating_sub(age)
    }

    /// Records that the provider confirmed the person, and gives the lease back with that.
    ///
    /// # Errors
    /// [`StoreDown`] if a server-side store could not be updated.
    pub(crate) async fn confirm(&self, active: &ActiveSession, person: Person) -> Result<(), StoreDown> {
        let before = active.latest().snapshot.session.clone();
        let is_renamed = !person.username.eq_ignore_ascii_case(&before.person.username);
        let session = Session { person: person.into(), checked: self.clock.now(), ..before };
        // First, so that no list shows a name that finds nothing. If the store is away, the
        // provider's answer counts here all the same, and both are written once it is back.
        let noted = if is_renamed { self.note_name(&session).await } else { Ok(()) };
        if let Some(kept) = &active.shared().kept {
            kept.release();
        }
        self.update(active, session).await.and(noted)
    }

    /// Records new tokens. The old ones may be invalid from now on.
    ///
    /// # Errors
    /// [`StoreDown`] if a server-side store could not be updated.
    pub(crate) async fn keep_tokens(&self, active: &ActiveSession, tokens: Tokens) -> Result<(), StoreDown> {
        let session = active.latest().snapshot.session.clone();
        self.update(active, Session { tokens, ..session }).await
    }

    /// Whether a server-side store still has the session; another process may have ended
    /// or updated it.
    ///
    /// # Errors
    /// [`StoreDown`] if the store does not answer.
    pub(crate) async fn is_kept(&self, active: &ActiveSession) -> Result<bool, StoreDown> {
        self.refresh(&active.cached.shared).await
    }

    async fn update(&self, active: &ActiveSession, session: Session) -> Result<(), StoreDown> {
        active.shared().update(self.snapshot_of(session));
        self.save(&active.cached.shared).await
    }
}
