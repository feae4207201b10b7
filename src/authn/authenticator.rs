//! Authenticates requests: by the session cookie, otherwise by a bearer token.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use super::caller::Caller;
use super::error::{AuthnError, SessionError};
use super::revalidation::{Confirmation, SessionRevalidator};
use super::token_authenticator::{TokenAuthenticator, TokenCheck};
use crate::policy::BearerUse;
use crate::session::{ActiveSession, ImmediateLookup, SessionLookup, TicketedSession};

/// Authenticates requests.
pub(crate) struct Authenticator {
    pub(crate) sessions: Arc<SessionRevalidator>,
    /// Present if tokens of API clients are accepted.
    pub(crate) tokens: Option<TokenAuthenticator>,
}

/// The result that is available without waiting.
#[derive(Debug)]
pub(crate) enum Authentication {
    /// The caller is known.
    Caller(Caller),
    /// A request to the store or the provider is needed: [`Authenticator::finish`].
    Pending(PendingAuthentication),
}

/// The request that is needed.
#[derive(Debug)]
pub(crate) enum PendingAuthentication {
    /// To a server-side store, for the session of a ticket.
    Store(TicketedSession),
    /// To the provider, about a session whose last answer has expired.
    Revalidation(ActiveSession),
    /// To the provider, about a session that does not hold what the rules need.
    Completion(ActiveSession),
    /// To the provider, about a token.
    Introspection,
}

impl Authenticator {
    /// The caller, as far as this process knows: a session, unless the route accepts only
    /// tokens; otherwise a token, if tokens are accepted. A cookie that cannot be
    /// decrypted is ignored. An invalid token is an error, since a client that sends one
    /// does not intend to be anonymous.
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
                    let freshness = self.sessions.sessions.freshness_at_lookup(&session);
                    return Ok(match self.sessions.confirm(session, freshness) {
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

    /// Waits for the request that [`Authenticator::authenticate`] found necessary. `address` is
    /// the client's.
    pub(crate) async fn finish(
        &self,
        pending: PendingAuthentication,
        headers: &HeaderMap,
        bearer_use: BearerUse,
        address: Option<IpAddr>,
    ) -> Result<Caller, AuthnError> {
        let session = match pending {
            PendingAuthentication::Store(ticket) => match self.sessions.sessions.load(ticket).await {
                SessionLookup::Nobody => None,
                SessionLookup::Unknown(_) => return Err(SessionError::StoreUnavailable.into()),
                SessionLookup::Session(session) => self.sessions.confirmed(session).await?,
            },
            PendingAuthentication::Revalidation(session) => self.sessions.confirmed(session).await?,
            PendingAuthentication::Completion(session) => self.sessions.completed(session).await?,
            PendingAuthentication::Introspection => None,
        };
        if let Some(session) = session {
            return Ok(Caller::Session(session));
        }
        let Some(tokens) = self.tokens.as_ref().filter(|_| bearer_use != BearerUse::Off) else {
            return Ok(Caller::Nobody);
        };
        Ok(tokens.authenticate(headers, address).await?.map_or(Caller::Nobody, Caller::Token))
    }

    /// The caller; waits as long as necessary.
    pub(crate) async fn authenticate_fully(
        &self,
        headers: &HeaderMap,
        bearer_use: BearerUse,
        address: Option<IpAddr>,
    ) -> Result<Caller, AuthnError> {
        match self.authenticate(headers, bearer_use)? {
            Authentication::Caller(caller) => Ok(caller),
            Authentication::Pending(pending) => self.finish(pending, headers, bearer_use, address).await,
        }
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator").field("tokens", &self.tokens.is_some()).finish_non_exhaustive()
    }
}
