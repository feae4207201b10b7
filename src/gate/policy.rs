//! May they: allow and deny against whoever calls.
//!
//! A [`Grant`] is made here and nowhere else. Whatever forwards a request asks
//! for one, so a forgotten check does not compile.

use std::fmt;
use std::sync::Arc;

use super::Inner;
use super::authenticate::Caller;
use super::denied::Denied;
use super::path::Unreadable;
use super::route::{Asked, Route, RouteAccess, Routes};
use super::rule::{Holds, Rule};
use crate::identity::{Introduction, Person, User};
use crate::session::Current;

/// Who may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Every Hugging Face account. It must be said: nothing defaults to it.
    Anyone,
    /// Whoever one of these rules means; nobody, if there is none.
    Rules(Vec<Rule>),
}

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

/// Why a caller may not enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum No {
    /// Nobody is signed in, and the place is not public.
    Nobody,
    /// Somebody is, and it is not their place.
    Denied(Denied),
}

/// A rule that was asked, and its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clause<'a> {
    /// Of an `allow`, or of a `deny`.
    pub(super) allow: bool,
    /// The route whose list it is in; the whole gate's, if `None`.
    pub(super) of_route: Option<usize>,
    /// Its place in the list.
    pub(super) index: usize,
    pub(super) rule: &'a Rule,
    pub(super) holds: Holds,
}

/// What the rules decide.
#[derive(Debug)]
pub(super) enum Verdict<'a> {
    /// Open to everybody, and not closed to whoever came.
    Public,
    /// Open to every account.
    Anyone,
    /// A rule lets them in.
    Allowed,
    /// Nobody came, and it is not public.
    Nobody,
    /// A `deny` keeps them out.
    Denied(Clause<'a>),
    /// None of these lets them in.
    NotAllowed(&'a [Rule]),
}

/// The rules of the whole gate.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) access: Access,
    pub(super) deny: Vec<Rule>,
    pub(super) routes: Routes,
}

impl Grant {
    /// Who is signed in; nobody may be, on a public route.
    #[must_use]
    pub fn user(&self) -> Option<&User> {
        self.introduction().map(Introduction::user)
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
    pub(super) fn watched_by(self, gate: &Arc<Inner>) -> Self {
        Self { gate: Some(Arc::clone(gate)), ..self }
    }

    /// Whether the session was ended here since.
    pub(super) fn has_ended(&self) -> bool {
        self.session().is_some_and(Current::has_ended)
    }

    /// What the app is told of whoever it was given to.
    pub(super) fn introduction(&self) -> Option<&Introduction> {
        self.caller.introduction()
    }

    /// The session it rests on.
    pub(super) fn session(&self) -> Option<&Current> {
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

impl Policy {
    /// Whether `caller` may enter `route`.
    pub(super) fn authorize(&self, route: Option<usize>, caller: Caller) -> Result<Grant, No> {
        let person = caller.introduction().map(|introduction| introduction.user().person());
        match (self.decide(route, person, |_| {}), person) {
            (Verdict::Public | Verdict::Anyone | Verdict::Allowed, _) => {
                Ok(Grant { caller, route, gate: None })
            }
            (Verdict::Denied(clause), Some(person)) => {
                Err(No::Denied(Denied::by(&clause, person, caller.token())))
            }
            (Verdict::NotAllowed(allow), Some(person)) => {
                Err(No::Denied(Denied::for_want_of(allow, person, caller.token())))
            }
            (Verdict::Nobody | Verdict::Denied(_) | Verdict::NotAllowed(_), _) => Err(No::Nobody),
        }
    }

    /// Whether somebody who entered a route once may still be there.
    pub(super) fn still_admits(&self, route: Option<usize>, person: &Person) -> bool {
        let verdict = self.decide(route, Some(person), |_| {});
        matches!(verdict, Verdict::Public | Verdict::Anyone | Verdict::Allowed)
    }

    /// Whether `route` is open to everybody, signed in or not.
    pub(super) fn is_open(&self, route: Option<usize>) -> bool {
        matches!(self.decide(route, None, |_| {}), Verdict::Public)
    }

    /// Whether somebody (or nobody) may enter `route`. Deny wins, everywhere.
    /// `told` hears of every rule that is asked, in order, so that what explains a
    /// decision is what made it.
    pub(super) fn decide<'a>(
        &'a self,
        route: Option<usize>,
        person: Option<&Person>,
        mut told: impl FnMut(Clause<'a>),
    ) -> Verdict<'a> {
        let own = route.and_then(|index| self.routes.get(index));
        let access = own.map_or(&RouteAccess::Inherited, |route| &route.access);
        let Some(person) = person else {
            return if *access == RouteAccess::Public { Verdict::Public } else { Verdict::Nobody };
        };
        let mut ask = |allow, of_route, index, rule: &'a Rule| {
            let clause = Clause { allow, of_route, index, rule, holds: rule.holds(person) };
            told(clause);
            clause
        };
        let of_gate = self.deny.iter().enumerate().map(|(index, rule)| (None, index, rule));
        let of_route = own.map_or([].as_slice(), |route| &route.deny);
        let of_route = of_route.iter().enumerate().map(|(index, rule)| (route, index, rule));
        for (of_route, index, rule) in of_gate.chain(of_route) {
            let clause = ask(false, of_route, index, rule);
            // One that cannot be ruled out counts.
            if clause.holds != Holds::No {
                return Verdict::Denied(clause);
            }
        }
        let (of_route, access) = match access {
            RouteAccess::Public => return Verdict::Public,
            RouteAccess::Own(access) => (route, access),
            RouteAccess::Inherited => (None, &self.access),
        };
        let Access::Rules(rules) = access else { return Verdict::Anyone };
        let mut clauses = rules.iter().enumerate().map(|(index, rule)| ask(true, of_route, index, rule));
        if clauses.any(|clause| clause.holds == Holds::Yes) {
            return Verdict::Allowed;
        }
        Verdict::NotAllowed(rules)
    }

    /// Whether a CORS preflight passes: no rule is asked, since nobody is there to
    /// ask it of.
    pub(super) fn lets_preflight(&self, route: Option<usize>, asked: Asked<'_>) -> bool {
        let marked = route.and_then(|index| self.routes.get(index)).is_some_and(|route| route.preflight);
        asked.preflight.is_some() && marked
    }

    /// Permission for a CORS preflight that passes.
    pub(super) fn preflight(&self, route: Option<usize>, asked: Asked<'_>) -> Option<Grant> {
        self.lets_preflight(route, asked).then_some(Grant { caller: Caller::Nobody, route, gate: None })
    }

    /// The route of a path, unless it may be another's.
    pub(super) fn find(&self, asked: Asked<'_>, path: &[u8]) -> Result<Option<usize>, Unreadable> {
        let found = self.routes.find(asked, path);
        if self.rival(asked, path, found).is_some() { Err(Unreadable) } else { Ok(found) }
    }

    /// A route before `found` that a less exact server may take a path for, if that
    /// matters. A public one does not: whoever gets there by this path was let in by
    /// the rules of `found`, and needed none.
    pub(super) fn rival(&self, asked: Asked<'_>, path: &[u8], found: Option<usize>) -> Option<usize> {
        self.routes.find_loosely(asked, path, |other| {
            found.is_none_or(|found| other < found && !self.routes.are_two_spellings(found, other))
                && self.routes.get(other).is_some_and(|route| route.access != RouteAccess::Public)
                && !self.alike(found, Some(other))
        })
    }

    /// Whether two routes (or none) decide alike and lead to the same place.
    pub(super) fn alike(&self, one: Option<usize>, other: Option<usize>) -> bool {
        if one == other {
            return true;
        }
        match (one.and_then(|index| self.routes.get(index)), other.and_then(|index| self.routes.get(index))) {
            (Some(one), Some(other)) => one.decides_like(other),
            (Some(route), None) | (None, Some(route)) => route.decides_like(&Route::unspecified()),
            (None, None) => true,
        }
    }

    /// Every rule there is.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        let of_routes = self.routes.list().iter().flat_map(|route| {
            let own = match &route.access {
                RouteAccess::Own(Access::Rules(rules)) => rules.as_slice(),
                RouteAccess::Own(Access::Anyone) | RouteAccess::Public | RouteAccess::Inherited => &[],
            };
            own.iter().chain(&route.deny)
        });
        let of_gate: &[Rule] = match &self.access {
            Access::Rules(rules) => rules,
            Access::Anyone => &[],
        };
        of_gate.iter().chain(&self.deny).chain(of_routes)
    }
}
