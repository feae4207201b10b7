//! Evaluates the `allow` and `deny` rules for a person.

use std::sync::Arc;

use super::access::Access;
use super::own_prefix::OwnPrefix;
use super::route::{Route, RouteAccess};
use super::route_table::RouteTable;
use super::rule::{Match, Rule};
use crate::identity::{Missing, Needs, Person};

/// The access rules of the gate.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) access: Access,
    /// Refuses access on every route.
    pub(crate) deny: Vec<Rule>,
    pub(crate) routes: RouteTable,
    pub(crate) own: OwnAddress,
    /// What the rules need of people, those of further requirements included.
    pub(crate) needs: Arc<Needs>,
}

/// The public address of the app, and the path prefix of the gate's own endpoints.
#[derive(Debug)]
pub(crate) struct OwnAddress {
    pub(crate) prefix: OwnPrefix,
    /// Host and port of the public URL.
    pub(crate) authority: String,
}

/// The evaluation of one rule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleEvaluation<'a> {
    /// Whether the rule is an `allow`; otherwise it is a `deny`.
    pub(crate) allow: bool,
    /// The route whose list contains the rule; `None` for the gate's own list.
    pub(crate) of_route: Option<usize>,
    /// The index in the list.
    pub(crate) index: usize,
    pub(crate) rule: &'a Rule,
    pub(crate) matches: Match,
    /// What the session does not hold of the person.
    pub(crate) missing: Missing,
}

/// The decision of the rules.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// The route is public, and no `deny` matches.
    Public,
    /// Every account may enter.
    Anyone,
    /// An `allow` matches.
    Allowed,
    /// Nobody is signed in, and the route is not public.
    Nobody,
    /// A `deny` matches, or evaluates to [`Match::Unknown`].
    Denied(RuleEvaluation<'a>),
    /// None of these `allow` rules matches.
    NotAllowed(&'a [Rule]),
    /// This rule decides, and the session does not hold what it needs.
    NotHeld(RuleEvaluation<'a>),
}

impl Verdict<'_> {
    /// Whether the request is allowed.
    pub(crate) fn admits(&self) -> bool {
        match self {
            Self::Public | Self::Anyone | Self::Allowed => true,
            Self::Nobody | Self::Denied(_) | Self::NotAllowed(_) | Self::NotHeld(_) => false,
        }
    }
}

impl Policy {
    /// Decides whether a person (or an anonymous client) may enter `route`, where each of
    /// `required` has to match as well. A matching `deny` always wins.
    pub(crate) fn decide<'a>(
        &'a self,
        route: Option<usize>,
        required: &'a [Rule],
        person: Option<&Person>,
    ) -> Verdict<'a> {
        let verdict = self.decide_with(route, person, |_| {});
        if required.is_empty() { verdict } else { self.with_required(verdict, required, person) }
    }

    /// The decision where each of `required` has to match besides `verdict`, which is the
    /// one without them. Nobody is let in without a person, also where the route is public.
    fn with_required<'a>(
        &self,
        verdict: Verdict<'a>,
        required: &'a [Rule],
        person: Option<&Person>,
    ) -> Verdict<'a> {
        let mut not_held = match verdict {
            Verdict::Public | Verdict::Anyone | Verdict::Allowed => None,
            // A requirement that does not match decides, whatever the provider answers.
            Verdict::NotHeld(evaluation) if evaluation.allow => Some(evaluation),
            refused => return refused,
        };
        let Some(person) = person else { return Verdict::Nobody };
        let missing = person.missing_for(self.needs.filter());
        for (index, rule) in required.iter().enumerate() {
            let matches = rule.matches(person, missing);
            let evaluation = RuleEvaluation { allow: true, of_route: None, index, rule, matches, missing };
            match matches {
                Match::Yes => {}
                Match::NotHeld => not_held = not_held.or(Some(evaluation)),
                Match::No | Match::Unknown => return Verdict::NotAllowed(std::slice::from_ref(rule)),
            }
        }
        not_held.map_or(Verdict::Allowed, Verdict::NotHeld)
    }

    /// The decision without further requirements. Calls `observe` with each evaluated rule,
    /// in order, so that an explanation reports the evaluations that made the decision.
    pub(crate) fn decide_with<'a>(
        &'a self,
        route: Option<usize>,
        person: Option<&Person>,
        mut observe: impl FnMut(RuleEvaluation<'a>),
    ) -> Verdict<'a> {
        let own = route.and_then(|index| self.routes.get(index));
        let access = own.map_or(&RouteAccess::Inherited, |route| &route.access);
        let Some(person) = person else {
            return if *access == RouteAccess::Public { Verdict::Public } else { Verdict::Nobody };
        };
        let missing = person.missing_for(self.needs.filter());
        let mut evaluate = |allow, of_route, index, rule: &'a Rule| {
            let matches = rule.matches(person, missing);
            let evaluation = RuleEvaluation { allow, of_route, index, rule, matches, missing };
            observe(evaluation);
            evaluation
        };
        let of_gate = self.deny.iter().enumerate().map(|(index, rule)| (None, index, rule));
        let of_route = own.map_or([].as_slice(), |route| &route.deny);
        let of_route = of_route.iter().enumerate().map(|(index, rule)| (route, index, rule));
        let mut not_held = None;
        for (of_route, index, rule) in of_gate.chain(of_route) {
            let evaluation = evaluate(false, of_route, index, rule);
            match evaluation.matches {
                Match::No => {}
                // Another `deny` may match whatever the provider answers.
                Match::NotHeld => not_held = not_held.or(Some(evaluation)),
                // `Unknown` denies too: hiding information must not bypass a `deny`.
                Match::Unknown | Match::Yes => return Verdict::Denied(evaluation),
            }
        }
        if let Some(evaluation) = not_held {
            return Verdict::NotHeld(evaluation);
        }
        let (of_route, access) = match access {
            RouteAccess::Public => return Verdict::Public,
            RouteAccess::Own(access) => (route, access),
            RouteAccess::Inherited => (None, &self.access),
        };
        let Access::Rules(rules) = access else { return Verdict::Anyone };
        for (index, rule) in rules.iter().enumerate() {
            let evaluation = evaluate(true, of_route, index, rule);
            match evaluation.matches {
                Match::Yes => return Verdict::Allowed,
                Match::NotHeld => not_held = not_held.or(Some(evaluation)),
                Match::No | Match::Unknown => {}
            }
        }
        not_held.map_or(Verdict::NotAllowed(rules), Verdict::NotHeld)
    }

    /// Whether two routes (or none) make the same decision and use the same upstream.
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
}
