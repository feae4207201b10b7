//! The decision: one synchronous function where this process knows the caller.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue, ORIGIN};

use super::grant::Grant;
use super::lifetime::Place;
use super::refusal::{Forbidden, Refusal};
use super::request::RequestView;
use super::ruleset::Ruleset;
use crate::authn::{Authentication, Caller, PendingAuthentication};
use crate::identity::{RenderedIdentity, User};
use crate::policy::{BearerUse, CorsOrigin, Credential, Denial, RouteQuery, Rule, Verdict};
use crate::session::ActiveSession;

/// The result of a decision that did not wait.
pub(crate) enum Decision {
    /// It may go on.
    Granted(Grant),
    /// Something has to be asked first: [`Ruleset::finish`].
    Pending(PendingDecision),
}

/// A decision that waits for a store or for the provider.
pub(crate) struct PendingDecision {
    route: Option<usize>,
    bearer_use: BearerUse,
    authentication: PendingAuthentication,
    address: Option<IpAddr>,
}

/// The decision about a caller.
enum Authorization {
    /// They may enter.
    Granted(Grant),
    /// The session does not hold what the rules need: [`PendingAuthentication::Completion`].
    NotHeld(ActiveSession),
}

/// How often one decision waits: for the session, for what it does not hold, and once more
/// if settings from before a reload answered that.
const QUESTIONS: usize = 3;

impl Ruleset {
    /// Whether a request may go on: the one decision, whether it came here or another
    /// proxy describes it.
    pub(crate) fn decide(self: &Arc<Self>, request: RequestView<'_>) -> Result<Decision, Refusal> {
        let preflight = request.preflight();
        let query = RouteQuery {
            host: request.host,
            by_name: false,
            method: request.method,
            preflight: preflight.as_ref(),
        };
        let route = self.place(request, query)?;
        if preflight.is_some() && self.policy.admits_preflight(route, query, request.origin()) {
            return Ok(Decision::Granted(Grant::new(Caller::Nobody, route, None, None)));
        }
        let bearer_use = self.policy.routes.bearer_use(route);
        let authentication = self.authn.authenticate(request.headers, bearer_use);
        match authentication.map_err(|error| Refusal::of_authn(&error, bearer_use))? {
            Authentication::Caller(caller) => Ok(match self.authorize(route, None, bearer_use, caller)? {
                Authorization::Granted(grant) => Decision::Granted(grant),
                Authorization::NotHeld(session) => {
                    let authentication = PendingAuthentication::Completion(session);
                    let address = request.address;
                    Decision::Pending(PendingDecision { route, bearer_use, authentication, address })
                }
            }),
            Authentication::Pending(authentication) => {
                let address = request.address;
                Ok(Decision::Pending(PendingDecision { route, bearer_use, authentication, address }))
            }
        }
    }

    /// The origins that may read a refusal of this request.
    pub(super) fn cors_of(&self, request: RequestView<'_>) -> &[CorsOrigin] {
        if !self.policy.routes.have_cors() {
            return &[];
        }
        let preflight = request.preflight();
        let query = RouteQuery {
            host: request.host,
            by_name: false,
            method: request.method,
            preflight: preflight.as_ref(),
        };
        self.policy.routes.cors(self.policy.place(request.path, query).unwrap_or_default())
    }

    /// The rest of a decision, after waiting for what it needs.
    pub(crate) async fn finish(
        self: &Arc<Self>,
        pending: PendingDecision,
        headers: &HeaderMap,
    ) -> Result<Grant, Refusal> {
        let PendingDecision { route, bearer_use, mut authentication, address } = pending;
        for _ in 0..QUESTIONS {
            let caller = self.authn.finish(authentication, headers, bearer_use, address).await;
            let caller = caller.map_err(|error| Refusal::of_authn(&error, bearer_use))?;
            let latest = self.latest();
            if !Arc::ptr_eq(self, &latest) {
                return latest.decide_again(self, (route, None), bearer_use, caller).await;
            }
            match self.authorize(route, None, bearer_use, caller)? {
                Authorization::Granted(grant) => return Ok(grant),
                Authorization::NotHeld(session) => {
                    authentication = PendingAuthentication::Completion(session);
                }
            }
        }
        Err(Refusal::NotHeld { retry_after: 1 })
    }

    /// The decision about a caller for whom `before` has waited until it was replaced. Where
    /// the routes have changed, the client is to send the request again.
    async fn decide_again(
        self: &Arc<Self>,
        before: &Self,
        (route, required): (Option<usize>, Option<&Arc<[Rule]>>),
        bearer_use: BearerUse,
        caller: Caller,
    ) -> Result<Grant, Refusal> {
        let alike = before.has_routes_of(self) && self.policy.routes.bearer_use(route) == bearer_use;
        let accepted = caller.token().is_none() || self.authn.tokens.is_some();
        if !alike || !accepted {
            return Err(Refusal::NotHeld { retry_after: 1 });
        }
        let session = match self.authorize(route, required, bearer_use, caller)? {
            Authorization::Granted(grant) => return Ok(grant),
            Authorization::NotHeld(session) => session,
        };
        let completed = self.authn.sessions.completed(session).await;
        let completed = completed.map_err(|error| Refusal::of_authn(&error.into(), bearer_use))?;
        let caller = completed.map_or(Caller::Nobody, Caller::Session);
        match self.authorize(route, required, bearer_use, caller)? {
            Authorization::Granted(grant) => Ok(grant),
            Authorization::NotHeld(_) => Err(Refusal::NotHeld { retry_after: 1 }),
        }
    }

    /// Whether a request that `grant` let through may go on to where `rule` is required as
    /// well: the one decision again, with what is known of the caller by now.
    pub(super) async fn decide_required(grant: &Grant, rule: &Arc<[Rule]>) -> Result<Grant, Refusal> {
        // A preflight has no credentials, and asks about a request that is decided itself.
        let Some(ruleset) = grant.ruleset() else { return Ok(grant.clone()) };
        let required = match grant.required() {
            [] => Arc::clone(rule),
            outer => outer.iter().chain(&**rule).cloned().collect(),
        };
        let bearer_use = ruleset.policy.routes.bearer_use(grant.route());
        let mut caller = grant.caller().clone();
        for _ in 0..QUESTIONS {
            match ruleset.authorize(grant.route(), Some(&required), bearer_use, caller)? {
                Authorization::Granted(grant) => return Ok(grant),
                Authorization::NotHeld(session) => {
                    let completed = Box::pin(ruleset.authn.sessions.completed(session)).await;
                    let completed =
                        completed.map_err(|error| Refusal::of_authn(&error.into(), bearer_use))?;
                    caller = completed.map_or(Caller::Nobody, Caller::Session);
                    let latest = ruleset.latest();
                    if !Arc::ptr_eq(ruleset, &latest) {
                        let place = (grant.route(), Some(&required));
                        return Box::pin(latest.decide_again(ruleset, place, bearer_use, caller)).await;
                    }
                }
            }
        }
        Err(Refusal::NotHeld { retry_after: 1 })
    }

    /// Whether a person may still be at a place. If the session lacks memberships that the
    /// rules name, the provider is asked first; without its answer the person may not.
    pub(super) async fn still_admits(&self, session: ActiveSession, (route, required): Place<'_>) -> bool {
        match self.policy.decide(route, required, Some(session.user().person())) {
            Verdict::NotHeld(_) => {}
            verdict => return verdict.admits(),
        }
        match self.authn.sessions.completed(session).await {
            Ok(Some(session)) => self.policy.decide(route, required, Some(session.user().person())).admits(),
            Ok(None) | Err(_) => false,
        }
    }

    /// The route of a request, if nothing about that is ambiguous.
    pub(crate) fn place(
        &self,
        request: RequestView<'_>,
        query: RouteQuery<'_>,
    ) -> Result<Option<usize>, Refusal> {
        if !request.path.starts_with('/') {
            return Err(Refusal::NoPath);
        }
        let route = self.policy.place(request.path, query)?;
        if request.opens_websocket {
            self.check_origin(request.headers)?;
        }
        Ok(route)
    }

    fn authorize(
        self: &Arc<Self>,
        route: Option<usize>,
        required: Option<&Arc<[Rule]>>,
        bearer_use: BearerUse,
        caller: Caller,
    ) -> Result<Authorization, Refusal> {
        let user = caller.identity().map(RenderedIdentity::user);
        let person = user.map(User::person);
        let verdict = self.policy.decide(route, required.map(|rules| &**rules).unwrap_or_default(), person);
        if verdict.admits() {
            let grant = Grant::new(caller, route, required.cloned(), Some(Arc::clone(self)));
            return Ok(Authorization::Granted(grant));
        }
        if let Verdict::NotHeld(_) = verdict {
            // Answers about tokens are cached under the rules that filtered them.
            let session = caller.session().cloned();
            return session.map(Authorization::NotHeld).ok_or(Refusal::NotHeld { retry_after: 1 });
        }
        let token = caller.token();
        let denial = person.and_then(|person| {
            let missing = person.missing_for(self.policy.needs.filter());
            let asks = self.policy.needs.asks();
            let credential = Credential { is_token: token.is_some(), asks, missing };
            Denial::of(&verdict, person, credential)
        });
        match denial.zip(user.cloned()) {
            Some((denial, user)) => {
                Err(Refusal::Forbidden(Forbidden { denial: Box::new(denial), token, user }))
            }
            None if bearer_use == BearerUse::Only => Err(Refusal::TokenNeeded),
            None => Err(Refusal::SignIn),
        }
    }

    /// A WebSocket handshake carries cookies across sites, and no other check of
    /// the browser's stops it (RFC 6455, section 10.2). Programs send no `Origin`.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let known = |origin: &HeaderValue| self.origins.iter().any(|own| origin == own.as_str());
        if headers.get_all(ORIGIN).iter().all(known) { Ok(()) } else { Err(Refusal::CrossOrigin) }
    }
}
