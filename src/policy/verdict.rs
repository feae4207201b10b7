//! May they: allow and deny against whoever calls.

use super::path::AmbiguousPath;
use super::route::{Route, RouteAccess, RouteQuery, Routes};
use super::rule::{Match, Rule};
use crate::identity::Person;

/// Who may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Every Hugging Face account. It must be said: nothing defaults to it.
    Anyone,
    /// Whoever one of these rules means; nobody, if there is none.
    Rules(Vec<Rule>),
}

/// A rule that was asked, and its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleEvaluation<'a> {
    /// Of an `allow`, or of a `deny`.
    pub(crate) allow: bool,
    /// The route whose list it is in; the whole gate's, if `None`.
    pub(crate) of_route: Option<usize>,
    /// Its place in the list.
    pub(crate) index: usize,
    pub(crate) rule: &'a Rule,
    pub(crate) holds: Match,
}

/// What the rules decide.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// Open to everybody, and not closed to whoever came.
    Public,
    /// Open to every account.
    Anyone,
    /// A rule lets them in.
    Allowed,
    /// Nobody came, and it is not public.
    Nobody,
    /// A `deny` keeps them out.
    Denial(RuleEvaluation<'a>),
    /// None of these lets them in.
    NotAllowed(&'a [Rule]),
}

/// The rules of the whole gate.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) access: Access,
    pub(crate) deny: Vec<Rule>,
    pub(crate) routes: Routes,
}

impl Policy {
    /// Whether somebody who entered a route once may still be there.
    pub(crate) fn still_admits(&self, route: Option<usize>, person: &Person) -> bool {
        let verdict = self.decide(route, Some(person), |_| {});
        matches!(verdict, Verdict::Public | Verdict::Anyone | Verdict::Allowed)
    }

    /// Whether `route` is open to everybody, signed in or not.
    pub(crate) fn is_open(&self, route: Option<usize>) -> bool {
        matches!(self.decide(route, None, |_| {}), Verdict::Public)
    }

    /// Whether somebody (or nobody) may enter `route`. Deny wins, everywhere.
    /// `told` hears of every rule that is asked, in order, so that what explains a
    /// decision is what made it.
    pub(crate) fn decide<'a>(
        &'a self,
        route: Option<usize>,
        person: Option<&Person>,
        mut told: impl FnMut(RuleEvaluation<'a>),
    ) -> Verdict<'a> {
        let own = route.and_then(|index| self.routes.get(index));
        let access = own.map_or(&RouteAccess::Inherited, |route| &route.access);
        let Some(person) = person else {
            return if *access == RouteAccess::Public { Verdict::Public } else { Verdict::Nobody };
        };
        let mut ask = |allow, of_route, index, rule: &'a Rule| {
            let clause = RuleEvaluation { allow, of_route, index, rule, holds: rule.holds(person) };
            told(clause);
            clause
        };
        let of_gate = self.deny.iter().enumerate().map(|(index, rule)| (None, index, rule));
        let of_route = own.map_or([].as_slice(), |route| &route.deny);
        let of_route = of_route.iter().enumerate().map(|(index, rule)| (route, index, rule));
        for (of_route, index, rule) in of_gate.chain(of_route) {
            let clause = ask(false, of_route, index, rule);
            // One that cannot be ruled out counts.
            if clause.holds != Match::No {
                return Verdict::Denial(clause);
            }
        }
        let (of_route, access) = match access {
            RouteAccess::Public => return Verdict::Public,
            RouteAccess::Own(access) => (route, access),
            RouteAccess::Inherited => (None, &self.access),
        };
        let Access::Rules(rules) = access else { return Verdict::Anyone };
        let mut clauses = rules.iter().enumerate().map(|(index, rule)| ask(true, of_route, index, rule));
        if clauses.any(|clause| clause.holds == Match::Yes) {
            return Verdict::Allowed;
        }
        Verdict::NotAllowed(rules)
    }

    /// Whether a CORS preflight passes: no rule is asked, since nobody is there to
    /// ask it of.
    pub(crate) fn lets_preflight(&self, route: Option<usize>, asked: RouteQuery<'_>) -> bool {
        let marked = route.and_then(|index| self.routes.get(index)).is_some_and(|route| route.preflight);
        asked.preflight.is_some() && marked
    }

    /// The route of a path, unless it may be another's.
    pub(crate) fn find(&self, asked: RouteQuery<'_>, path: &[u8]) -> Result<Option<usize>, AmbiguousPath> {
        let found = self.routes.find(asked, path);
        if self.rival(asked, path, found).is_some() { Err(AmbiguousPath) } else { Ok(found) }
    }

    /// A route before `found` that a less exact server may take a path for, if that
    /// matters. A public one does not: whoever gets there by this path was let in by
    /// the rules of `found`, and needed none.
    pub(crate) fn rival(&self, asked: RouteQuery<'_>, path: &[u8], found: Option<usize>) -> Option<usize> {
        self.routes.find_loosely(asked, path, |other| {
            found.is_none_or(|found| other < found && !self.routes.are_two_spellings(found, other))
                && self.routes.get(other).is_some_and(|route| route.access != RouteAccess::Public)
                && !self.alike(found, Some(other))
        })
    }

    /// Whether two routes (or none) decide alike and lead to the same place.
    pub(crate) fn alike(&self, one: Option<usize>, other: Option<usize>) -> bool {
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
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Rule> {
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
