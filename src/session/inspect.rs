//! What is in a cookie, for whoever runs the gate: also where it no longer counts.

use http::header::HeaderMap;

use super::record::Session;
use super::sealing::Sealed;
use super::sessions::Sessions;
use crate::clock::UnixTime;
use crate::identity::{AuthMethod, User};

/// What the session cookie of a request is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Inspected {
    /// There is none.
    NoCookie,
    /// One that does not open here: sealed with another secret or by another
    /// version, cut short, or not ours at all.
    DoesNotOpen,
    /// One that opens and belongs to another kind of store than is configured.
    OtherStore,
    /// A ticket for a session that the store does not have (any more).
    NotInStore,
    /// A ticket, and the store does not answer.
    StoreUnavailable,
    /// A session.
    Session(SessionReport),
}

/// A session, and whether it counts. Times are in seconds since 1970.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionReport {
    /// Whose it is.
    pub user: User,
    /// When the sign-in was.
    pub began: UnixTime,
    /// When it was used, as far as the cookie or the store knows.
    pub seen: UnixTime,
    /// When the provider last said who this is, and what organisations count.
    pub checked: UnixTime,
    /// Whether the provider is asked again at the next request.
    pub check_is_due: bool,
    /// When it ends if it is not used.
    pub idle_ends: UnixTime,
    /// When it ends at the latest.
    pub ends: UnixTime,
    /// Whether it is within both these limits. One that was ended counts for as long
    /// as a store has it; a sealed cookie by itself says nothing of that.
    pub in_force: bool,
}

impl Sessions {
    /// Looks into the session cookie of `request`, and changes nothing by it.
    pub(crate) async fn inspect(&self, request: &HeaderMap) -> Inspected {
        let Some(sealed) = self.cookies.session(request) else { return Inspected::NoCookie };
        let Some(unsealed) = self.sealer.unseal(&sealed) else { return Inspected::DoesNotOpen };
        let now = self.clock.now();
        match (unsealed.content, &self.store) {
            (Sealed::Whole(session), None) => Inspected::Session(self.report(&session, now)),
            (Sealed::Ticket(id), Some(store)) => match store.load(id, now).await {
                Ok(Some(session)) => Inspected::Session(self.report(&session, now)),
                Ok(None) => Inspected::NotInStore,
                Err(_) => Inspected::StoreUnavailable,
            },
            (Sealed::Whole(_), Some(_)) | (Sealed::Ticket(_), None) => Inspected::OtherStore,
        }
    }

    fn report(&self, session: &Session, now: UnixTime) -> SessionReport {
        SessionReport {
            user: User::new(session.person.clone(), AuthMethod::Session),
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
