//! Decide: one of our own endpoints, pass on to the app, or refuse.

mod body;
mod builder;
mod grant;
mod layer;
mod lifetime;
mod reload;
mod response;
pub(crate) mod rewrite;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use tokio::sync::Notify;

pub use body::GateBody;
pub use builder::GateBuilder;
pub use grant::Grant;
use grant::No;
pub use layer::{GateLayer, GateService};
pub use reload::PreparedReload;
#[cfg(feature = "config")]
pub(crate) use settings::is_plain_prefix;
pub use settings::{BuildError, GateSettings, Unusable, default_scope};

use crate::authn::{Caller, TokenAuthenticator, authenticate};
use crate::client::{Client, Kind, TrustedProxies, wants_websocket};
use crate::clock::Clock;
use crate::forward_auth::{self, Contract};
use crate::identity::RenderedIdentity;
use crate::identity::assertion::AssertionSigner;
use crate::identity::headers::IdentityHeaderNames;
use crate::oauth2::{Ask, Endpoint, OAuth2};
use crate::policy::{
    AmbiguousPath, BearerUse, PathReadings, Policy, Route, RouteAccess, RouteQuery, preflight, readings,
};
use crate::respond::{Forbidden, OrgNames, Refusal, answer};

/// Signs people in and decides who may enter; cheap to clone.
///
/// ```no_run
/// use huggate::{Gate, Rule};
///
/// # async fn build() -> Result<(), Box<dyn std::error::Error>> {
/// let gate = Gate::builder()
///     .public_url("https://app.example.com")
///     .client("the client id", "the client secret")
///     .secret(std::fs::read_to_string("session-secret")?)
///     .allow(Rule::org("acme"))
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Gate {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) oauth2: Arc<OAuth2>,
    /// Present: tokens of API clients count.
    pub(crate) bearer: Option<TokenAuthenticator>,
    pub(crate) policy: Policy,
    pub(crate) org_names: Arc<OrgNames>,
    pub(crate) spellings: IdentityHeaderNames,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) assertions: AssertionSigner,
    pub(crate) assertion_headers: Vec<HeaderName>,
    pub(crate) assertion_enabled: bool,
    /// Every header that forward auth answers with, so that none of the client's
    /// is left.
    pub(crate) identity_names: Vec<HeaderName>,
    /// Origins that are this app: the public URL's first, then the routes' hosts.
    pub(crate) origins: Vec<String>,
    /// Whether some route depends on the method.
    pub(crate) methods_matter: bool,
    /// Whether some route depends on the path.
    pub(crate) paths_matter: bool,
    /// The gate with other settings that took the place of this one.
    pub(crate) successor: ArcSwapOption<Self>,
    pub(crate) replaced: Notify,
    pub(crate) clock: Clock,
}

/// What is to become of a request.
enum Decision {
    /// One of our endpoints, or nothing at an address of ours; and who asks, where
    /// the answer depends on it.
    Ours(Option<Endpoint>, Caller),
    /// Another proxy's, which asks about it.
    RouteQuery(Contract),
    /// The app's.
    Pass(Grant),
}

/// What is asked of the app, and with what.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    /// As it was sent.
    pub(crate) path: &'a str,
    pub(crate) host: &'a str,
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// A WebSocket is asked for.
    pub(crate) opens_socket: bool,
}

impl<'a> Question<'a> {
    /// What its route is looked up by; `preflight` is what it asks about as one.
    pub(crate) fn asked(&self, preflight: Option<&'a Method>) -> RouteQuery<'a> {
        RouteQuery { host: self.host, by_name: false, method: self.method, preflight }
    }
}

impl Gate {
    /// Starts building a gate.
    #[must_use]
    pub fn builder() -> GateBuilder {
        GateBuilder::default()
    }

    /// Answers `request` or lets `inner` do it. This is the whole of the gate;
    /// the Tower layer is plumbing around it.
    ///
    /// What goes in: a request, whose extensions may hold a [`Peer`](crate::Peer).
    /// What `inner` gets: the same request without any identity that the client
    /// claimed, with the identity headers, the assertion, and [`User`](crate::User),
    /// [`Client`] and [`Grant`] in its extensions.
    ///
    /// # Errors
    /// Those of `inner`; refusals are responses, with a [`Refusal`] in their
    /// extensions.
    pub async fn handle<ReqB, ResB, E, Fut>(
        &self,
        request: Request<ReqB>,
        inner: impl FnOnce(Request<ReqB>) -> Fut,
    ) -> Result<Response<GateBody<ResB>>, E>
    where
        ResB: Body<Data = Bytes>,
        Fut: Future<Output = Result<Response<ResB>, E>>,
    {
        let gate = &self.inner;
        let (mut parts, body) = request.into_parts();
        gate.put_aside(&mut parts);
        // Strip first, whatever comes of the request.
        gate.spellings.strip(&mut parts.headers);
        let Ok(client) = Client::resolve(parts.extensions.get(), &parts, &gate.trusted_proxies) else {
            let nobody = Client { ip: None, host: String::new(), https: false, trusted: false };
            let ask = Ask { parts: &parts, client: &nobody, kind: Kind::of(&parts) };
            let response = Box::pin(gate.refuse(Refusal::NoHost, ask)).await;
            return Ok(forward_auth::shaped(gate.contract(parts.uri.path()), response).map(GateBody::own));
        };
        // What does not lead to the app is boxed: in line, the room that a sign-in
        // needs would be moved about with every request.
        let grant = match gate.decide(&parts, &client).await {
            Ok(Decision::Pass(grant)) => grant,
            Ok(Decision::RouteQuery(contract)) => {
                return Ok(Box::pin(gate.forward_auth(contract, parts, client)).await.map(GateBody::own));
            }
            Ok(Decision::Ours(endpoint, caller)) => {
                let ask = Ask { parts: &parts, client: &client, kind: Kind::of(&parts) };
                let user = caller.introduction().map(RenderedIdentity::user);
                return Ok(Box::pin(gate.oauth2.answer(endpoint, ask, user)).await.map(GateBody::own));
            }
            Err(refusal) => {
                let ask = Ask { parts: &parts, client: &client, kind: Kind::of(&parts) };
                let response = Box::pin(gate.refuse(refusal, ask)).await;
                return Ok(answer::for_grpc(parts.headers.get(CONTENT_TYPE), response).map(GateBody::own));
            }
        };
        let renewed = gate.renewal(&grant, &parts.headers);
        gate.introduce(&mut parts, client, &grant);
        let response = inner(Request::from_parts(parts, body)).await?;
        Ok(gate.finish(response, &grant, renewed.as_deref().map(Vec::as_slice)))
    }

    /// Asks the provider for its metadata.
    ///
    /// # Errors
    /// [`Unusable`] says why it cannot be used, and whether that may pass.
    pub async fn discover(&self) -> Result<(), Unusable> {
        let asked = self.inner.oauth2.provider.metadata().await;
        asked.map(drop).map_err(|error| Unusable { reason: error.to_string(), passing: error.is_transient() })
    }

    /// Makes `readyz` say no from now on: the drain has begun.
    pub fn drain(&self) {
        self.inner.oauth2.draining.store(true, Ordering::Relaxed);
    }

    /// The routes, in order.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        self.inner.policy.routes.list()
    }
}

impl Inner {
    /// What is to become of a request: one step a line.
    async fn decide(self: &Arc<Self>, parts: &Parts, client: &Client) -> Result<Decision, Refusal> {
        let path = path_of(parts)?;
        if let Some(endpoint) = self.oauth2.endpoint(path) {
            if let Some(contract) = self.contract(path) {
                return Ok(Decision::RouteQuery(contract));
            }
            let caller = match endpoint {
                Some(Endpoint::Userinfo) => self.authenticate(&parts.headers, BearerUse::Also).await?,
                _ => Caller::Nobody,
            };
            return Ok(Decision::Ours(endpoint, caller));
        }
        // With a path it is an extended CONNECT, which opens what a GET would
        // (RFC 8441, section 5).
        let connect = parts.method == Method::CONNECT;
        let question = Question {
            path,
            host: &client.host,
            method: if connect { &Method::GET } else { &parts.method },
            headers: &parts.headers,
            opens_socket: connect || wants_websocket(&parts.headers),
        };
        self.judge(question).await.map(Decision::Pass)
    }

    /// Whether what is asked of the app may be had: the one judgement, whether the
    /// request came here or another proxy describes it.
    pub(crate) async fn judge(self: &Arc<Self>, question: Question<'_>) -> Result<Grant, Refusal> {
        let preflight = preflight::asks_about(question.method, question.headers);
        let asked = question.asked(preflight.as_ref());
        let route = self.place(question, asked)?;
        if let Some(grant) = self.policy.preflight(route, asked) {
            return Ok(grant);
        }
        let used = self.policy.routes.bearer_use(route);
        let caller = self.authenticate(question.headers, used).await?;
        match self.policy.authorize(route, caller) {
            Ok(grant) => Ok(grant.watched_by(self)),
            Err(No::Nobody) if used == BearerUse::Only => Err(Refusal::TokenNeeded),
            Err(No::Nobody) => Err(Refusal::SignIn),
            Err(No::Denial(denied)) => Err(Refusal::Forbidden(Forbidden(denied))),
        }
    }

    async fn authenticate(&self, headers: &HeaderMap, used: BearerUse) -> Result<Caller, Refusal> {
        authenticate(&self.oauth2, self.bearer.as_ref(), used, headers).await
    }

    /// The route that a question is about, if nothing about that is ambiguous.
    pub(crate) fn place(
        &self,
        question: Question<'_>,
        asked: RouteQuery<'_>,
    ) -> Result<Option<usize>, Refusal> {
        let route = self.route(question.path, asked)?;
        self.check_port(question.path, asked, route)?;
        self.check_method(question.path, asked, route)?;
        if question.opens_socket {
            self.check_origin(question.headers)?;
        }
        Ok(route)
    }

    /// The route of a path, if every reading of it is decided alike.
    fn route(&self, path: &str, asked: RouteQuery<'_>) -> Result<Option<usize>, AmbiguousPath> {
        let several = match readings(path)? {
            PathReadings::Plain => return self.policy.find(asked, path.as_bytes()),
            PathReadings::Several(several) => several,
        };
        let route = several.first().map_or(Ok(None), |reading| self.policy.find(asked, reading))?;
        for reading in several {
            // Our endpoints are plain; what only some server would take for one of
            // them is nobody's.
            if self.oauth2.would_take(&reading)
                || !self.policy.alike(route, self.policy.find(asked, &reading)?)
            {
                return Err(AmbiguousPath);
            }
        }
        Ok(route)
    }

    /// A port that nobody configured must not lead past the routes of its host:
    /// the app may not look at it.
    fn check_port(&self, path: &str, asked: RouteQuery<'_>, route: Option<usize>) -> Result<(), Refusal> {
        if !self.policy.routes.has_strange_port(asked.host, self.oauth2.public_url.authority()) {
            return Ok(());
        }
        let by_name = self.route(path, RouteQuery { by_name: true, ..asked })?;
        if self.policy.alike(route, by_name) { Ok(()) } else { Err(Refusal::NoHost) }
    }

    /// Methods have capitals; but some frameworks take `delete` for `DELETE`
    /// (Django, Flask, Symfony), and must not be led past its route so.
    fn check_method(&self, path: &str, asked: RouteQuery<'_>, route: Option<usize>) -> Result<(), Refusal> {
        let method = asked.method.as_str();
        if !self.methods_matter || !method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Ok(());
        }
        let method = method.to_ascii_uppercase().parse().map_err(|_| Refusal::AmbiguousMethod)?;
        let other = self.route(path, RouteQuery { method: &method, ..asked })?;
        // A public one needs no protection from those who may be at this one.
        let is_public = other
            .and_then(|index| self.policy.routes.get(index))
            .is_some_and(|route| route.access == RouteAccess::Public);
        if is_public || self.policy.alike(route, other) { Ok(()) } else { Err(Refusal::AmbiguousMethod) }
    }

    /// A WebSocket handshake carries cookies across sites, and no other check of
    /// the browser's stops it (RFC 6455, section 10.2). Programs send no `Origin`.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let known = |origin: &HeaderValue| self.origins.iter().any(|own| origin == own.as_str());
        if headers.get_all(ORIGIN).iter().all(known) { Ok(()) } else { Err(Refusal::CrossOrigin) }
    }

    /// New cookie lines for the session, if it is time for them.
    pub(crate) fn renewal(&self, grant: &Grant, request: &HeaderMap) -> Option<Arc<Vec<HeaderValue>>> {
        self.oauth2.sessions.renewal(grant.session()?, request)
    }
}

/// The path of a request, if its target is one (RFC 9112, section 3.2).
pub(crate) fn path_of(parts: &Parts) -> Result<&str, Refusal> {
    let path = parts.uri.path();
    // `*` of OPTIONS, or the authority of CONNECT.
    if path.starts_with('/') { Ok(path) } else { Err(Refusal::NoPath) }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("oauth2", &self.inner.oauth2).finish_non_exhaustive()
    }
}
