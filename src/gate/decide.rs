//! The decision: one synchronous function where this process knows the caller.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{HeaderMap, HeaderValue, ORIGIN};

use super::grant::Grant;
use super::refusal::{Forbidden, Refusal};
use super::request::RequestView;
use super::ruleset::Ruleset;
use crate::authn::{Authentication, Caller, PendingAuthentication};
use crate::policy::{BearerUse, CorsOrigin, Denial, RouteQuery};

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
            return Ok(Decision::Granted(Grant::new(Caller::Nobody, route, None)));
        }
        let bearer_use = self.policy.routes.bearer_use(route);
        let authentication = self.authn.authenticate(request.headers, bearer_use);
        match authentication.map_err(|error| Refusal::of_authn(&error, bearer_use))? {
            Authentication::Caller(caller) => {
                self.authorize(route, bearer_use, caller).map(Decision::Granted)
            }
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
        let PendingDecision { route, bearer_use, authentication, address } = pending;
        let caller = self.authn.finish(authentication, headers, bearer_use, address).await;
        self.authorize(route, bearer_use, caller.map_err(|error| Refusal::of_authn(&error, bearer_use))?)
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
        bearer_use: BearerUse,
        caller: Caller,
    ) -> Result<Grant, Refusal> {
        let person = caller.identity().map(|identity| identity.user().person());
        let verdict = self.policy.decide(route, person);
        if verdict.admits() {
            return Ok(Grant::new(caller, route, Some(Arc::clone(self))));
        }
        let token = caller.token();
        match person.and_then(|person| Denial::of(&verdict, person, token.is_some())) {
            Some(denial) => Err(Refusal::Forbidden(Forbidden { denial: Box::new(denial), token })),
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
