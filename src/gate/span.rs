//! What the gate says of a decision: fields of the current span, and the event of a refusal.

use std::borrow::Cow;

use http::{Method, Request, Response, StatusCode};
use tracing::Span;
use tracing::field::Empty;

use super::grant::Grant;
use super::refusal::Refusal;
use super::request::RequestView;
use super::ruleset::Ruleset;
use crate::client::IncomingRequest;
use crate::events::{self, ENDUSER_ID, Refused};
use crate::identity::User;
use crate::masked::masked;
use crate::policy::{Route, RouteAccess, RouteQuery};
use crate::respond::Said;

const DECISION: &str = "huggate.decision";
const REASON: &str = "huggate.reason";
const ROUTE: &str = "huggate.route";
/// The route of a request that no route matches.
const NO_ROUTE: &str = "access";

/// A span for `request` with the fields that the gate records, for the trace layer around the
/// gate's. It names the method and the path, without the query.
///
/// It is a `MakeSpan` of tower-http:
///
/// ```
/// # #[cfg(feature = "axum")]
/// # fn traced(router: axum::Router, gate: &huggate::Gate) -> axum::Router {
/// use tower_http::trace::TraceLayer;
///
/// router.layer(gate.layer()).layer(TraceLayer::new_for_http().make_span_with(huggate::request_span))
/// # }
/// ```
///
/// A span of your own has what it declares of these, as `tracing::field::Empty`:
///
/// ```
/// # fn make_span<B>(request: &http::Request<B>) -> tracing::Span {
/// use tracing::field::Empty;
///
/// tracing::info_span!(
///     "my request",
///     huggate.decision = Empty,
///     huggate.reason = Empty,
///     huggate.route = Empty,
///     enduser.id = Empty,
/// )
/// # }
/// ```
///
/// `docs/reference/logging.md` says what the fields hold. They are recorded on the span that
/// is current when the gate decides.
pub fn request_span<B>(request: &Request<B>) -> Span {
    tracing::info_span!(
        target: "huggate::request",
        "request",
        http.request.method = known_method(request.method()),
        url.path = &*masked(request.uri().path()),
        huggate.decision = Empty,
        huggate.reason = Empty,
        huggate.route = Empty,
        enduser.id = Empty,
    )
}

/// The method, or `_OTHER`: any client can make names up.
fn known_method(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::OPTIONS,
        Method::CONNECT,
        Method::TRACE,
    ];
    if known.contains(method) { method.as_str() } else { "_OTHER" }
}

/// Records on the current span that `grant` was given.
pub(super) fn record_grant(ruleset: &Ruleset, grant: &Grant) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    if span.has_field(DECISION) {
        let route = grant.route().and_then(|index| ruleset.policy.routes.get(index));
        let public =
            grant.ruleset().is_none() || route.is_some_and(|route| route.access == RouteAccess::Public);
        span.record(DECISION, if public { "public" } else { "allow" });
    }
    if span.has_field(ROUTE) {
        span.record(ROUTE, &*ruleset.name_of_route(grant.route()));
    }
    if let Some(user) = grant.user() {
        span.record(ENDUSER_ID, user.id());
    }
}

/// The names of a refusal in spans and events.
pub(super) struct RefusalNames {
    decision: &'static str,
    reason: Cow<'static, str>,
}

impl RefusalNames {
    /// The names of a refusal with this answer, which the app's hook has not seen yet.
    pub(super) fn of<B>(refusal: &Refusal, response: &Response<B>) -> Self {
        let code = refusal.code();
        // A sign-in that cannot begin has codes of its own.
        let said = response.extensions().get::<Said>().filter(|said| said.code != code);
        let reason = said.map_or(Cow::Borrowed(code), |said| Cow::Owned(said.code.clone()));
        Self { decision: decision(refusal, response.status()), reason }
    }

    /// Whether operators have something to look at: a refusal that the client did not cause.
    fn warns(&self, refusal: &Refusal, trusted: bool) -> bool {
        self.decision == "unavailable"
            || self.reason == "sign_in_loop"
            || *refusal == Refusal::UnknownHost
            // Every client can ask.
            || (trusted && matches!(refusal, Refusal::ForwardAuth(_)))
    }
}

/// The word for what was decided.
fn decision(refusal: &Refusal, status: StatusCode) -> &'static str {
    match refusal {
        Refusal::SignIn if status.as_u16() < 400 => "sign_in",
        Refusal::SignIn if status.is_server_error() => "unavailable",
        Refusal::SignIn | Refusal::TokenNeeded | Refusal::InvalidToken { .. } => "unauthenticated",
        Refusal::Forbidden(_) | Refusal::CrossOrigin => "forbidden",
        Refusal::NoHost
        | Refusal::NoPath
        | Refusal::AmbiguousPath
        | Refusal::AmbiguousMethod
        | Refusal::NotSecure
        | Refusal::ForwardAuth(_)
        | Refusal::UnknownHost
        | Refusal::BadAuthorization(_) => "bad_request",
        Refusal::StoreUnavailable
        | Refusal::Unconfirmed { .. }
        | Refusal::NotHeld { .. }
        | Refusal::TokenUnchecked { .. } => "unavailable",
    }
}

/// Records a refusal on the current span, and logs it. `status` is that of the answer.
pub(super) fn record_refusal(
    ruleset: &Ruleset,
    request: IncomingRequest<'_>,
    refusal: &Refusal,
    names: &RefusalNames,
    status: StatusCode,
) {
    let user = if let Refusal::Forbidden(forbidden) = refusal { Some(forbidden.user()) } else { None };
    let route = || ruleset.route_of_refused(request);
    let span = Span::current();
    if !span.is_disabled() {
        span.record(DECISION, names.decision);
        span.record(REASON, &*names.reason);
        if span.has_field(ROUTE)
            && let Some(route) = route()
        {
            span.record(ROUTE, &*route);
        }
        if let Some(user) = user {
            span.record(ENDUSER_ID, user.id());
        }
    }
    let header = if let Refusal::ForwardAuth(ambiguous) = refusal { Some(ambiguous.header()) } else { None };
    let refused = Refused {
        decision: names.decision,
        reason: &names.reason,
        status,
        user,
        header,
        warns: names.warns(refusal, request.client.trusted),
    };
    events::refused(request, &refused, route, || detail(refusal));
}

/// Details of a refusal that its code does not have.
fn detail(refusal: &Refusal) -> Option<String> {
    match refusal {
        Refusal::ForwardAuth(ambiguous) => Some(ambiguous.to_string()),
        Refusal::Forbidden(forbidden) => Some(forbidden.reasons().join(" ")),
        Refusal::BadAuthorization(why)
        | Refusal::InvalidToken { why, .. }
        | Refusal::TokenUnchecked { why, .. } => Some((*why).to_owned()),
        Refusal::NoHost
        | Refusal::NoPath
        | Refusal::AmbiguousPath
        | Refusal::AmbiguousMethod
        | Refusal::NotSecure
        | Refusal::SignIn
        | Refusal::CrossOrigin
        | Refusal::StoreUnavailable
        | Refusal::Unconfirmed { .. }
        | Refusal::NotHeld { .. }
        | Refusal::UnknownHost
        | Refusal::TokenNeeded => None,
    }
}

impl Ruleset {
    /// How a route is called in spans and events.
    fn name_of_route(&self, route: Option<usize>) -> Cow<'static, str> {
        let route = route.and_then(|index| self.policy.routes.get(index)).map(Route::pattern);
        route.map_or(Cow::Borrowed(NO_ROUTE), Cow::Owned)
    }

    /// The route of a request that was refused; `None` if that is ambiguous, and for the
    /// gate's own endpoints.
    fn route_of_refused(&self, request: IncomingRequest<'_>) -> Option<String> {
        let view = RequestView::of(request.parts.into(), request.client);
        let is_own = self.policy.own.prefix.covers(view.path.as_bytes());
        if is_own || view.host.is_empty() || !view.path.starts_with('/') {
            return None;
        }
        let preflight = view.preflight();
        let query = RouteQuery {
            host: view.host,
            by_name: false,
            method: view.method,
            preflight: preflight.as_ref(),
        };
        let route = self.policy.place(view.path, query).ok()?;
        Some(self.name_of_route(route).into_owned())
    }
}

/// The person of a request to one of the gate's endpoints.
pub(super) fn record_person(user: Option<&User>) {
    if let Some(user) = user {
        Span::current().record(ENDUSER_ID, user.id());
    }
}
