//! Finds out who calls: by the session cookie, else by a bearer token.

use std::fmt;
use std::sync::Arc;

use http::HeaderMap;

use super::caller::Caller;
use super::error::{AuthnError, SessionError};
use super::revalidation::{Confirmation, SessionRevalidator};
use super::token_authenticator::{TokenAuthenticator, TokenCheck};
use crate::policy::BearerUse;
use crate::session::{ActiveSession, ImmediateLookup, SessionLookup, TicketedSession};

/// Finds out who calls.
pub(crate) struct Authenticator {
    pub(crate) sessions: Arc<SessionRevalidator>,
    /// Present: tokens of API clients are accepted.
    pub(crate) tokens: Option<TokenAuthenticator>,
}

/// What can be said without waiting.
#[derive(Debug)]
pub(crate) enum Authentication {
    /// Who calls.
    Caller(Caller),
    /// Something has to be asked first: [`Authenticator::finish`].
    Pending(PendingAuthentication),
}

/// What has to be asked.
#[derive(Debug)]
pub(crate) enum PendingAuthentication {
    /// A server-side store, for the session of a ticket.
    Store(TicketedSession),
    /// The provider, about a session whose last answer has expired.
    Revalidation(ActiveSession),
    /// The provider, about a token.
    Introspection,
}

impl Authenticator {
    /// Who calls, as far as this process knows: a session, unless the route is for
    /// tokens alone; else a token, where tokens are accepted. A cookie that does not
    /// open is ignored. A token that is not valid is an error, since a client that
    /// sends one does not mean to be anonymous.
    pub(crate) fn authenticate(
        &self,
        headers: &HeaderMap,
        bearer_use: BearerUse,
    ) -> Result<Authentication, AuthnError> {
        if bearer_use != BearerUse::Only {
            match self.sessions.sessions.lookup(headers) {
                ImmediateLookup::Done(SessionLookup::Nobody) => {}
                ImmediateLookup::Done(SessionLookup::Unknown(_)) => {
                    return Err(SessionError::StoreUnavailable.into());
                }
                ImmediateLookup::Done(SessionLookup::Session(session)) => {
                    return Ok(match self.sessions.confirm(session) {
                        Confirmation::Holds(session) => Authentication::Caller(Caller::Session(session)),
                        Confirmation::Expired(session) => {
                            Authentication::Pending(PendingAuthentication::Revalidation(session))
                        }
                    });
                }
                ImmediateLookup::InStore(ticket) => {
                    return Ok(Authentication::Pending(PendingAuthentication::Store(ticket)));
                }
            }
        }
        let Some(tokens) = self.tokens.as_ref().filter(|_| bearer_use != BearerUse::Off) else {
            return Ok(Authentication::Caller(Caller::Nobody));
        };
        Ok(match tokens.check(headers)? {
            TokenCheck::NoToken => Authentication::Caller(Caller::Nobody),
            TokenCheck::Valid(caller) => Authentication::Caller(Caller::Token(caller)),
            TokenCheck::Unknown => Authentication::Pending(PendingAuthentication::Introspection),
        })
    }

    /// Who calls, after waiting for what [`Authenticator::authenticate`] could not say.
    pub(crate) async fn finish(
        &self,
        pending: PendingAuthentication,
        headers: &HeaderMap,
        bearer_use: BearerUse,
    ) -> Result<Caller, AuthnError> {
        let session = match pending {
            PendingAuthentication::Store(ticket) => match self.sessions.sessions.load(ticket).await {
                SessionLookup::Nobody => None,
                SessionLookup::Unknown(_) => return Err(SessionError::StoreUnavailable.into()),
                SessionLookup::Session(session) => self.sessions.confirmed(session).await?,
            },
            PendingAuthentication::Revalidation(session) => self.sessions.confirmed(session).await?,
            PendingAuthentication::Introspection => None,
        };
        if let Some(session) = session {
            return Ok(Caller::Session(session));
        }
        let Some(tokens) = self.tokens.as_ref().filter(|_| bearer_use != BearerUse::Off) else {
            return Ok(Caller::Nobody);
        };
        Ok(tokens.authenticate(headers).await?.map_or(Caller::Nobody, Caller::Token))
    }

    /// Who calls, however long that takes.
    pub(crate) async fn authenticate_fully(
        &self,
        headers: &HeaderMap,
        bearer_use: BearerUse,
    ) -> Result<Caller, AuthnError> {
        match self.authenticate(headers, bearer_use)? {
            Authentication::Caller(caller) => Ok(caller),
            Authentication::Pending(pending) => self.finish(pending, headers, bearer_use).await,
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("tokens", &self.tokens.is_some()).finish_non_exhaustive()
    }
}
