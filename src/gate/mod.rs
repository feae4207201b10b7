//! One request: ours, allowed, or refused.
//!
//! | file | holds |
//! | --- | --- |
//! | `request` | what is judged: one borrowed view of a request |
//! | `decide` | the decision, one synchronous function |
//! | `grant` | permission as a value |
//! | `rewrite` | what changes in an allowed request, one list |
//! | `span` | fields of the current span, and the event of a refusal |
//! | `refusal`, `refuse` | every "no", and the answer it gets |
//! | `own_endpoints` | requests below our prefix, forward auth included |
//! | `lifetime`, `permission_watch` | long-lived streams: decided anew, ended |
//! | `drain`, `shutdown` | what is open ends before the server shuts down |
//! | `interrupt` | the answer where a permission ended before the app's |
//! | `require`, `names` | rules for one router, and what sessions keep for them |
//! | `position`, `extract` | where a layer stands, and what handlers read from a request |
//! | `unadmitted` | what does not go on to the app, and the endpoint that reads a body |
//! | `in_process` | what differs for a gate in a test |
//! | `layer`, `builder`, `build`, `reload` | the layer, and how a gate is made and replaced |

mod app_assertion;
mod attended;
mod body;
mod build;
mod builder;
mod builder_hooks;
mod connection_options;
mod decide;
mod discovery;
mod drain;
mod endpoints;
mod extract;
mod grant;
#[cfg(feature = "testing")]
mod in_process;
mod interrupt;
mod layer;
mod lifetime;
mod names;
mod operation;
mod own_endpoints;
mod permission_watch;
mod position;
mod presentation;
mod provider_unusable;
mod refusal;
mod refuse;
mod reload;
mod request;
mod require;
mod response;
mod rewrite;
mod ruleset;
mod settings;
mod shutdown;
mod span;
mod unadmitted;

use std::fmt;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;

pub use body::GateBody;
pub use builder::GateBuilder;
pub(crate) use decide::Decision;
pub use discovery::LogoutSupport;
pub use drain::Drained;
pub use endpoints::{EndpointBody, EndpointService};
pub use extract::ExtractError;
pub use grant::Grant;
#[cfg(feature = "proxy")]
pub(crate) use grant::QUICK;
pub use layer::{GateLayer, GateService};
pub use permission_watch::PermissionEnded;
pub(crate) use permission_watch::PermissionWatch;
pub use provider_unusable::ProviderUnusable;
pub use refusal::{Forbidden, Refusal};
pub use reload::PreparedReload;
pub(crate) use request::{RequestView, the_origin};
pub use require::{RequireLayer, RequireService};
pub use settings::{BuildError, GateSettings, default_scope};
pub use span::request_span;

use crate::client::{
    Client, FieldSet, IncomingRequest, OwnOrigin, Peer, PeerRef, RequestHead, RequestKind, TrustedProxies,
};
use crate::forward_auth::Contract;
use crate::oauth2::OAuth2;
use crate::policy::Route;
use crate::respond::{OrgNames, cors, grpc, misuse};
use attended::Attended;
use names::AddedRules;
use own_endpoints::OwnEndpoints;
use position::{Decided, OwnAnswer, Warnings};
use refuse::Refuser;
pub(crate) use rewrite::ConnectionFields;
use rewrite::{RewriteSubject, Rewriter};
use ruleset::Ruleset;
use unadmitted::{Unadmitted, take_head};

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

/// The shared parts of a gate. Each step of a request uses one of them.
pub(crate) struct Inner {
    pub(crate) ruleset: Arc<Ruleset>,
    /// The rules of every [`Gate::require`].
    added_rules: Arc<AddedRules>,
    pub(crate) oauth2: OAuth2,
    rewriter: Rewriter,
    org_names: Arc<OrgNames>,
    trusted_proxies: TrustedProxies,
    warnings: Warnings,
    /// The public URL's host in the spelling that hosts are compared in.
    own_host: Arc<str>,
    /// Every identity header that forward auth answers with.
    identity_headers: Vec<HeaderName>,
}

/// A request that may go on.
pub(crate) struct Admission {
    pub(crate) grant: Grant,
    pub(crate) client: Client,
    pub(crate) renewal: Option<Renewal>,
    /// The fields that the request has since.
    pub(crate) fields: FieldSet,
}

/// The `Set-Cookie` lines that replace the session's cookie.
pub(crate) type Renewal = Arc<Vec<HeaderValue>>;

impl Gate {
    /// Answers `request` or lets `inner` do it; the Tower layer calls this.
    ///
    /// The extensions of `request` may hold a [`Peer`]; with the feature `axum`, axum's
    /// `ConnectInfo<SocketAddr>` and `OriginalUri` are read as well. `inner` gets the request
    /// without any identity that the client claimed, with the identity headers, the
    /// assertion, and [`User`](crate::User), [`Client`] and [`Grant`] in its extensions.
    ///
    /// A request that this gate let through already goes to `inner` unchanged: applied
    /// twice, a gate is in effect once. If another gate let it through, the answer is 500.
    ///
    /// # Errors
    /// Those of `inner`; refusals are responses, with a [`Refusal`] in their
    /// extensions.
    pub async fn handle<ReqB, ResB, E, Fut>(
        &self,
        mut request: Request<ReqB>,
        inner: impl FnOnce(Request<ReqB>) -> Fut,
    ) -> Result<Response<GateBody<ResB>>, E>
    where
        ReqB: Body,
        ResB: Body<Data = Bytes>,
        Fut: Future<Output = Result<Response<ResB>, E>>,
    {
        if let Some(decided) = request.extensions().get::<Decided<Self>>() {
            if decided.was_by(&self.inner.ruleset) {
                return Ok(inner(request).await?.map(GateBody::inner));
            }
            tracing::error!(
                "two different gates are layered around one service: use one `Gate::layer`; \
                 for other rules, use routes"
            );
            return Ok(misuse::two_gates().map(GateBody::own));
        }
        #[cfg(feature = "testing")]
        self.name_host(&mut request);
        let peer = position::peer(request.extensions());
        if peer.is_none() && !self.inner.trusted_proxies.is_nobody() {
            self.inner.warnings.peer_unknown();
        }
        let mounted = position::restore_original_uri(&mut request);
        let cookies = position::cookies(request.headers(), self.inner.added_rules.any());
        let Admission { grant, client, renewal, fields } = match self
            .admit(peer.as_ref().map(PeerRef::from), &mut request, ConnectionFields::Keep)
            .await
        {
            Ok(admission) => admission,
            Err(unadmitted) => return Ok(unadmitted.answer(&self.inner.oauth2, request.into_body()).await),
        };
        let attended = Attended::of(&request, fields, &client);
        if let Some(mounted) = mounted {
            *request.uri_mut() = mounted;
        }
        let extensions = request.extensions_mut();
        position::set_user(extensions, grant.user());
        let cookies = if grant.user().is_none() { cookies } else { Vec::new() };
        extensions.insert(Decided::new(self.clone(), &self.inner.ruleset, cookies));
        extensions.insert(client);
        extensions.insert(grant.clone());
        // Ours, if the permission ends before the inner service answers.
        let answered = match attended.unless_ended(pin!(inner(request)), &grant).await {
            Some(response) => Some(self.complete_below(response?, &attended, &grant, renewal.as_ref())),
            None => None,
        };
        let mut response = match answered {
            Some(response) => response,
            None => self.interrupted_and_presented(&grant, &attended).await.map(GateBody::own),
        };
        // For an embedder's log: who was answered. The inner service cannot say so itself.
        position::set_user(response.extensions_mut(), grant.user());
        Ok(response)
    }

    /// The same for a proxy, without extensions: `peer` is the other end of the connection,
    /// and `forward` gets the grant and the client as arguments. Hop-by-hop fields are
    /// dropped from the request, except for those of a WebSocket handshake.
    ///
    /// What `forward` has open ends with the grant: [`Upstream::send`] sees to that, and
    /// another `forward` waits for [`Grant::ended`].
    ///
    /// # Errors
    /// Those of `forward`; refusals are responses, with a [`Refusal`] in their
    /// extensions.
    ///
    /// [`Upstream::send`]: ../upstream/struct.Upstream.html#method.send
    #[expect(clippy::manual_async_fn, reason = "an async fn copies its arguments once more")]
    pub fn handle_with_grant<ReqB, ResB, E, Fut>(
        &self,
        peer: Option<Peer>,
        mut request: Request<ReqB>,
        forward: impl FnOnce(Request<ReqB>, Grant, Client) -> Fut,
    ) -> impl Future<Output = Result<Response<GateBody<ResB>>, E>>
    where
        ReqB: Body,
        ResB: Body<Data = Bytes>,
        Fut: Future<Output = Result<Response<ResB>, E>>,
    {
        async move {
            let Admission { grant, client, renewal, .. } = match self
                .admit(peer.as_ref().map(PeerRef::from), &mut request, ConnectionFields::Drop)
                .await
            {
                Ok(admission) => admission,
                Err(unadmitted) => {
                    return Ok(unadmitted.answer(&self.inner.oauth2, request.into_body()).await);
                }
            };
            let response = forward(request, grant.clone(), client).await?;
            Ok(self.complete(response, &grant, renewal.as_ref(), None))
        }
    }

    /// The steps of a request before the app, a line each. An admitted request is rewritten
    /// in place; it stays where it is, because every future that owns it copies it.
    ///
    /// # Errors
    /// The request does not go on. Its head has been taken, its body has not.
    pub(crate) async fn admit<B>(
        &self,
        peer: Option<PeerRef<'_>>,
        request: &mut Request<B>,
        connection: ConnectionFields,
    ) -> Result<Admission, Box<Unadmitted>> {
        let gate = &*self.inner;
        // The futures of our own responses are boxed. Inline, they would add the size of a
        // sign-in to the future of every request.
        let head = RequestHead::of(request);
        let own = OwnOrigin { host: &gate.own_host, https: gate.oauth2.urls.public_url.is_https() };
        let Ok(client) = Client::resolve(peer.map(|peer| peer.peer), head, &gate.trusted_proxies, own) else {
            let parts = take_head(request);
            return Err(Box::pin(gate.refuse_without_host(&parts, peer)).await.into());
        };
        if gate.oauth2.urls.own(head.uri.path()) {
            let parts = take_head(request);
            return Err(Box::pin(gate.own_endpoints().answer(parts, client)).await);
        }
        if client.is_insecure(own.https) && RequestKind::of_head(head).opens_a_page() {
            let parts = take_head(request);
            return Err(Box::pin(gate.refuse(Refusal::NotSecure, &parts, &client)).await.into());
        }
        let decided = match gate.ruleset.decide(RequestView::of(head, &client)) {
            Ok(Decision::Granted(grant)) => Ok(grant),
            Ok(Decision::Pending(pending)) => Box::pin(gate.ruleset.finish(pending, head.headers)).await,
            Err(refusal) => Err(refusal),
        };
        let grant = match decided {
            Ok(grant) => grant,
            Err(refusal) => {
                let parts = take_head(request);
                return Err(Box::pin(gate.refuse(refusal, &parts, &client)).await.into());
            }
        };
        span::record_grant(&gate.ruleset, &grant);
        let session = grant.session();
        let renewal = session.and_then(|session| gate.oauth2.sessions.renewal(session, head.headers));
        let subject = RewriteSubject { client: &client, peer, head };
        let rewrite = gate.rewriter.rewrite(&grant, &gate.ruleset.policy.routes, subject, connection);
        let fields = rewrite.fields_left();
        rewrite.apply(request.headers_mut());
        Ok(Admission { grant, client, renewal, fields })
    }

    /// The step after the inner service; an answer that the gate made further in is complete.
    fn complete_below<B: Body<Data = Bytes>>(
        &self,
        mut response: Response<B>,
        attended: &Attended,
        grant: &Grant,
        renewal: Option<&Renewal>,
    ) -> Response<GateBody<B>> {
        if response.extensions_mut().remove::<OwnAnswer>().is_some() {
            return response.map(GateBody::inner);
        }
        let watch = attended.watch(&response, grant);
        self.complete(response, grant, renewal, Some(watch))
    }

    /// The step after the app. `watch` ends the body with its permission.
    pub(crate) fn complete<B: Body<Data = Bytes>>(
        &self,
        response: Response<B>,
        grant: &Grant,
        renewal: Option<&Renewal>,
        watch: Option<PermissionWatch>,
    ) -> Response<GateBody<B>> {
        let renewal = renewal.map(|lines| &**lines).map(Vec::as_slice);
        response::finish(response, grant, self.inner.oauth2.sessions.cookies(), renewal, watch)
    }

    /// Lets a page of `origin` read `response`, by which a proxy says that the app did not
    /// answer, as the route of `grant` has it.
    pub(crate) fn expose(&self, grant: &Grant, origin: Option<&HeaderValue>, response: &mut Response<Bytes>) {
        cors::expose(self.inner.ruleset.policy.routes.cors(grant.route()), origin, response);
    }

    /// The routes, in order.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        self.inner.ruleset.policy.routes.list()
    }
}

impl Inner {
    fn own_endpoints(&self) -> OwnEndpoints<'_> {
        OwnEndpoints {
            ruleset: &self.ruleset,
            oauth2: &self.oauth2,
            rewriter: &self.rewriter,
            org_names: &self.org_names,
            identity_headers: &self.identity_headers,
        }
    }

    fn refuser(&self) -> Refuser<'_> {
        Refuser { ruleset: &self.ruleset, oauth2: &self.oauth2, org_names: &self.org_names }
    }

    /// The response to a refused request for the app.
    async fn refuse(&self, refusal: Refusal, parts: &Parts, client: &Client) -> Response<Bytes> {
        let response = self.refuser().refuse(refusal, IncomingRequest::new(parts, client)).await;
        let mut response = grpc::adapt(parts.headers.get(CONTENT_TYPE), response);
        let view = RequestView::of(parts.into(), client);
        cors::expose(self.ruleset.cors_of(view), the_origin(&parts.headers), &mut response);
        response
    }

    /// The response to a request that does not name exactly one host.
    async fn refuse_without_host(&self, parts: &Parts, peer: Option<PeerRef<'_>>) -> Response<Bytes> {
        let ip = peer.and_then(|peer| peer.peer.addr).map(|addr| addr.ip().to_canonical());
        let client = Client { ip, host: Arc::default(), https: false, trusted: false };
        let response = self.refuser().refuse(Refusal::NoHost, IncomingRequest::new(parts, &client)).await;
        let contract = self.oauth2.urls.prefix.rest_of(parts.uri.path()).and_then(Contract::of);
        match contract {
            Some(contract) => contract.shape(response),
            None => response,
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("oauth2", &self.inner.oauth2).finish_non_exhaustive()
    }
}
