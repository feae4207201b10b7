//! May they: allow and deny against whoever calls.
//!
//! A [`Grant`] is made here and nowhere else. Whatever forwards a request asks
//! for one, so a forgotten check does not compile.

use std::fmt;
use std::sync::Arc;

use super::Inner;
use super::authenticate::Caller;
use super::route::{Asked, Route, RouteAccess, Routes};
use super::rule::{Holds, Rule};
use crate::identity::{Introduction, Person, Standing, User};
use crate::provider::TokenKind;
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

/// A refusal that says what would have helped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) username: String,
    /// Who may enter, one sentence each; or why this account may not.
    pub(crate) reasons: Vec<String>,
    /// An organisation that a rule asks for, and that the person did not grant
    /// to the app: slug, and its id if it is known.
    pub(crate) not_granted: Option<(String, Option<String>)>,
    /// The kind of token they came with; `None` is a session.
    pub(crate) token: Option<TokenKind>,
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
    /// due time about session or token, says what the rules refuse. For ever where
    /// nobody needed permission. An open tunnel or stream is closed then.
    pub async fn ended(&self) {
        match (&self.caller, &self.gate) {
            (Caller::Session(session), Some(gate)) => gate.until_refused(session, self.route).await,
            (Caller::Token(bearing), Some(gate)) => gate.until_token_refused(bearing, self.route).await,
            (Caller::Session(_) | Caller::Token(_) | Caller::Nobody, _) => std::future::pending().await,
        }
    }

    /// Lets it be asked whether it still holds.
    pub(super) fn watched_by(self, gate: &Arc<Inner>) -> Self {
        let gate = self.caller.introduction().map(|_| Arc::clone(gate));
        Self { gate, ..self }
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
    /// Whether `caller` may enter `route`. Deny wins, everywhere.
    pub(super) fn authorize(&self, route: Option<usize>, caller: Caller) -> Result<Grant, No> {
        let rules = route.and_then(|index| self.routes.get(index));
        let access = rules.map_or(&RouteAccess::Inherited, |route| &route.access);
        if let Some(introduction) = caller.introduction() {
            let person = introduction.user().person();
            self.admit(rules, access, person, caller.token()).map_err(No::Denied)?;
        } else if *access != RouteAccess::Public {
            return Err(No::Nobody);
        }
        Ok(Grant { caller, route, gate: None })
    }

    /// Whether somebody who entered a route once may still be there.
    pub(super) fn still_admits(
        &self,
        route: Option<usize>,
        person: &Person,
        token: Option<TokenKind>,
    ) -> bool {
        let rules = route.and_then(|index| self.routes.get(index));
        let access = rules.map_or(&RouteAccess::Inherited, |route| &route.access);
        self.admit(rules, access, person, token).is_ok()
    }

    /// Permission for a CORS preflight, where the route lets them pass: no rule is
    /// asked, since nobody is there to ask it of.
    pub(super) fn preflight(&self, route: Option<usize>, asked: Asked<'_>) -> Option<Grant> {
        let lets_pass = asked.preflight.is_some() && self.routes.get(route?)?.preflight;
        lets_pass.then_some(Grant { caller: Caller::Nobody, route, gate: None })
    }

    /// Whether somebody may enter.
    fn admit(
        &self,
        route: Option<&Route>,
        access: &RouteAccess,
        person: &Person,
        token: Option<TokenKind>,
    ) -> Result<(), Denied> {
        if let Some(reason) = self.denial(route, person) {
            return Err(Denied {
                username: person.username.to_string(),
                reasons: vec![reason],
                not_granted: None,
                token,
            });
        }
        let access = match access {
            RouteAccess::Public => return Ok(()),
            RouteAccess::Own(access) => access,
            RouteAccess::Inherited => &self.access,
        };
        match access {
            Access::Anyone => Ok(()),
            Access::Rules(allow) if allow.iter().any(|rule| rule.holds(person) == Holds::Yes) => Ok(()),
            Access::Rules(allow) => Err(explain(allow, person, token)),
        }
    }

    /// What the first `deny` says that holds, or that cannot be ruled out.
    fn denial(&self, route: Option<&Route>, person: &Person) -> Option<String> {
        let own = route.map_or([].as_slice(), |route| route.deny.as_slice());
        let rule = self.deny.iter().chain(own).find(|rule| rule.holds(person) != Holds::No)?;
        Some(match rule.holds(person) {
            Holds::Unknown => {
                format!("This place is closed to {rule:#}, and whether that is you cannot be told.")
            }
            Holds::Yes | Holds::No => format!("This place is closed to {rule:#}."),
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

/// Says who may enter, and what is in the way of this person.
fn explain(allow: &[Rule], person: &Person, token: Option<TokenKind>) -> Denied {
    let mut reasons: Vec<String> = Vec::new();
    let mut not_granted = None;
    for rule in allow {
        let open_to = format!("It is open to {rule:#}.");
        if !reasons.contains(&open_to) {
            reasons.push(open_to);
        }
        if rule.holds(person) == Holds::No {
            // An organisation that is not listed at all may be one whose box on
            // the consent page was not ticked.
            let listed = |wanted: &&str| {
                person.orgs.iter().any(|org| org.slug.eq_ignore_ascii_case(wanted) || &*org.id == *wanted)
            };
            if let Some(org) = rule.orgs().find(|wanted| !listed(wanted)) {
                not_granted.get_or_insert((org.to_owned(), super::rule::is_id(org).then(|| org.to_owned())));
            }
            continue;
        }
        for org in person.orgs.iter().filter(|org| rule.names(org)) {
            match org.standing {
                Standing::NotGranted => {
                    not_granted = Some((org.slug.to_string(), Some(org.id.to_string())));
                }
                Standing::Restricted if token.is_some() => reasons.push(format!(
                    "{} restricts this token or its owner's membership at the moment: its single sign-on, a second factor, its policy on tokens, or another of its security rules is not met. Open {} on Hugging Face and complete what it asks for.",
                    org.slug, org.slug
                )),
                Standing::Restricted => reasons.push(format!(
                    "{} restricts your membership at the moment: its single sign-on, a second factor, or another of its security rules is not met. Open {} on Hugging Face and complete what it asks for, then sign in again.",
                    org.slug, org.slug
                )),
                Standing::Member(_) => {}
            }
        }
        if rule.needs_email() && person.verified_email().is_none() {
            reasons.push(
                "Your Hugging Face account has no verified e-mail address that this app may see.".to_owned(),
            );
        }
    }
    Denied { username: person.username.to_string(), reasons, not_granted, token }
}
