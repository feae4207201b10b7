//! Inspects a session cookie for operators, even if it is no longer valid.

use http::header::HeaderMap;

use super::record::Session;
use super::sealing::Sealed;
use super::sessions::Sessions;
use crate::clock::UnixTime;
use crate::identity::User;

/// What the session cookie of a request is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Inspected {
    /// The request has no session cookie.
    NoCookie,
    /// It cannot be decrypted: it was encrypted with another secret or by another
    /// version, is truncated, or is not a session cookie.
    DoesNotOpen,
    /// It was decrypted, but belongs to another kind of store than the configured one.
    OtherStore,
    /// It is a ticket for a session that is not (or no longer) in the store.
    NotInStore,
    /// It is a ticket, and the store does not answer.
    StoreUnavailable,
    /// It contains a session.
    Session(SessionReport),
}

/// A session, and whether it is valid. Times are in seconds since 1970.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionReport {
    /// The person.
    pub user: User,
    /// The time of the sign-in.
    pub began: UnixTime,
    /// The time of the last use, according to the cookie or the store.
    pub seen: UnixTime,
    /// When the provider last confirmed the person and their organisations.
    pub checked: UnixTime,
    /// Whether the next request causes a request to the provider.
    pub check_is_due: bool,
    /// When it ends if it is not used again.
    pub idle_ends: UnixTime,
    /// When it ends at the latest.
    pub ends: UnixTime,
    /// Whether it is within both limits. A session in a store that was ended is no longer
    /// found; for the cookie store, an ended session cannot be recognised from the
    /// cookie.
    pub in_force: bool,
}

impl Sessions {
    /// Inspects the session cookie of `request` without changing any state.
    pub(crate) async fn inspect(&self, request: &HeaderMap) -> Inspected {
        let Some(sealed) = self.cookies.session(request) else { return Inspected::NoCookie };
        let Some(unsealed) = self.sealer.unseal(&sealed) else { return Inspected::DoesNotOpen };
        let now = self.clock.now();
        match (unsealed.content, &self.backend.store) {
            (Sealed::Whole(session), None) => Inspected::Session(self.report(&session, now)),
            (Sealed::Ticket(ticket), Some(store)) => match store.load(ticket.id.key(), now).await {
                Ok(Some(stored)) => match self.backend.vault.open(&ticket, &stored) {
                    Some(opened) => Inspected::Session(self.report(&opened.session, now)),
                    None => Inspected::DoesNotOpen,
                },
                Ok(None) => Inspected::NotInStore,
                Err(_) => Inspected::StoreUnavailable,
            },
            (Sealed::Whole(_), Some(_)) | (Sealed::Ticket(_), None) => Inspected::OtherStore,
        }
    }

    fn report(&self, session: &Session, now: UnixTime) -> SessionReport {
        SessionReport {
            user: User::of_session(session.person.clone(), &session.claims),
            began: session.began,
            seen: session.seen,
            checked: session.checked,
            check_is_due: now.saturating_sub(session.checked) >= self.lifetimes.revalidate,
            idle_ends: session.seen.saturating_add(self.lifetimes.idle),
            ends: session.began.saturating_add(self.lifetimes.max_age),
            in_force: self.lifetimes.in_force(session.began, session.seen, now),
        }
    }
}
