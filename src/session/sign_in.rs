//! The session that another tab of a browser has begun since a sign-in was begun there: one
//! browser has one session, whose end ends what all its tabs have open.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue};

use super::fitting::seal_to_fit;
use super::kept_state::KeptState;
use super::record::{Session, SignInOrigin};
use super::sealing::{Sealed, Unsealed};
use super::sessions::{NotBegun, Sessions};
use super::shared_session::SharedSession;
use crate::clock::UnixTime;
use crate::identity::{Person, ProviderSession, Tokens};

impl Sessions {
    /// The session of `person` that another tab has begun since `origin`: the one that the
    /// request came with, or one whose cookie was not there yet when the request was sent.
    pub(super) fn begun_meanwhile(
        &self,
        person: &Person,
        origin: &SignInOrigin,
        present: Option<&Arc<SharedSession>>,
    ) -> Option<Arc<SharedSession>> {
        let is_it = |shared: &Arc<SharedSession>| {
            let session = &shared.snapshot().session;
            session.person.sub == person.sub
                && session.began >= origin.began
                && !origin.had(session.id)
                && !shared.has_ended()
        };
        match present {
            Some(present) => Some(present).filter(|shared| is_it(shared)).cloned(),
            None => self
                .backend
                .revocations
                .find(|shared| origin.has_binding_of(shared.snapshot().session.id) && is_it(shared)),
        }
    }

    /// Makes a session that has begun known to the callbacks of other tabs. What is known
    /// of it is what its cookie says, from which much may have been left out.
    pub(super) fn remember(
        &self,
        (session, kept): (Session, Option<KeptState>),
        sealed: &str,
        now: UnixTime,
    ) {
        let session = match self.sealer.unseal(sealed.as_bytes()) {
            Some(Unsealed { content: Sealed::Whole(sealed), .. }) => *sealed,
            Some(Unsealed { content: Sealed::Ticket(_), .. }) | None => session,
        };
        self.enter((session, kept), sealed.as_bytes(), true, now);
    }

    /// Goes on with a session under the result of another sign-in: returns the lines of its
    /// cookie.
    pub(super) async fn take_over(
        &self,
        shared: &Arc<SharedSession>,
        (person, tokens, provider_session): (Person, Tokens, ProviderSession),
        request: &HeaderMap,
    ) -> Result<Vec<HeaderValue>, NotBegun> {
        let now = self.clock.now();
        let before = shared.snapshot().session.clone();
        let session = Session { person: person.into(), tokens, checked: now, seen: now, ..before };
        let sealed = match &shared.kept {
            Some(kept) => self.sealer.seal_ticket(&kept.ticket),
            None => {
                seal_to_fit(&self.sealer, &session, &self.kept_orgs.now()).map_err(|_| NotBegun::TooLarge)?
            }
        };
        let began = session.began;
        if let Some(kept) = &shared.kept {
            self.note_provider_session(&session, &provider_session).await?;
            kept.set_provider_session(&provider_session);
        }
        shared.update(self.snapshot_of(session));
        self.save(shared).await?;
        let left = self.lifetimes.max_age.saturating_sub(now.saturating_sub(began));
        Ok(self.cookies.set_session(&sealed, left, request))
    }
}
