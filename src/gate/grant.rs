//! Permission as a value: only the gate makes one.

use std::fmt;
use std::sync::Arc;

use super::Inner;
use crate::authn::Caller;
use crate::identity::{RenderedIdentity, User};
use crate::policy::{Denial, Policy, RouteQuery, Verdict};
use crate::session::ActiveSession;

/// Permission for one request to go on to the app.
///
/// Only the policy makes one. The proxy's upstream takes it as an argument; a
/// service behind the layer finds it in the request's extensions.
#[derive(Clone)]
pub struct Grant {
    caller: Caller,
    route: Option<usize>,
    /// Whom to ask whether it still holds.
    gate: Option<Arc<Inner>>,
}

impl Grant {
    /// Who is signed in; nobody may be, on a public route.
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        self.introduction().map(RenderedIdentity::user)
    }

    /// Which route the request is for, as its place in the list; `None` is none
    /// of them.
    #[must_use]
    pub fn route(&self) -> Option<usize> {
        self.route
    }

    /// Waits until this permission no longer holds: the session that it rests on is
    /// ended here or has reached its greatest age, or the provider, asked again in
    /// due time about session or token, says what the rules refuse; or other rules
    /// came into force that do. An open tunnel or stream is closed then.
    pub async fn ended(&self) {
        match (&self.caller, &self.gate) {
            (Caller::Session(session), Some(gate)) => gate.until_refused(session, self.route).await,
            (Caller::Token(bearing), Some(gate)) => gate.until_token_refused(bearing, self.route).await,
            (Caller::Nobody, Some(gate)) => gate.until_closed_to_all(self.route).await,
            (Caller::Session(_) | Caller::Token(_) | Caller::Nobody, None) => std::future::pending().await,
        }
    }

    /// Lets it be asked whether it still holds.
    pub(crate) fn watched_by(self, gate: &Arc<Inner>) -> Self {
        Self { gate: Some(Arc::clone(gate)), ..self }
    }

    /// Whether the session was ended here since.
    pub(crate) fn has_ended(&self) -> bool {
        self.session().is_some_and(ActiveSession::has_ended)
    }

    /// What the app is told of whoever it was given to.
    pub(crate) fn introduction(&self) -> Option<&RenderedIdentity> {
        self.caller.introduction()
    }

    /// The session it rests on.
    pub(crate) fn session(&self) -> Option<&ActiveSession> {
        self.caller.session()
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("caller", &self.caller)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

/// Why a caller may not enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum No {
    /// Nobody is signed in, and the place is not public.
    Nobody,
    /// Somebody is, and it is not their place.
    Denial(Denial),
}

impl Policy {
    /// Whether `caller` may enter `route`.
    pub(crate) fn authorize(&self, route: Option<usize>, caller: Caller) -> Result<Grant, No> {
        let person = caller.introduction().map(|introduction| introduction.user().person());
        match (self.decide(route, person, |_| {}), person) {
            (Verdict::Public | Verdict::Anyone | Verdict::Allowed, _) => {
                Ok(Grant { caller, route, gate: None })
            }
            (Verdict::Denial(clause), Some(person)) => {
                Err(No::Denial(Denial::by(&clause, person, caller.token())))
            }
            (Verdict::NotAllowed(allow), Some(person)) => {
                Err(No::Denial(Denial::for_want_of(allow, person, caller.token())))
            }
            (Verdict::Nobody | Verdict::Denial(_) | Verdict::NotAllowed(_), _) => Err(No::Nobody),
        }
    }

    /// Permission for a CORS preflight that passes.
    pub(crate) fn preflight(&self, route: Option<usize>, asked: RouteQuery<'_>) -> Option<Grant> {
        self.lets_preflight(route, asked).then_some(Grant { caller: Caller::Nobody, route, gate: None })
    }
}
