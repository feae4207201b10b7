//! A rule for one router or one route, below the gate's layer.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::attended::Attended;
use super::grant::Grant;
use super::position::{Decided, OwnAnswer, restore_original_uri};
use super::refusal::Refusal;
use super::ruleset::Ruleset;
use super::{Gate, GateBody, take_head};
use crate::client::{Client, FieldSet};
use crate::policy::Rule;
use crate::respond::misuse;

/// Adds a rule to a service below a gate's layer; made by [`Gate::require`].
#[derive(Debug, Clone)]
pub struct RequireLayer {
    requirement: Requirement,
}

/// A service that only people reach whom the rule of [`Gate::require`] admits.
#[derive(Debug, Clone)]
pub struct RequireService<S> {
    requirement: Requirement,
    inner: S,
}

/// A rule, and the gate whose decision it adds to.
#[derive(Debug, Clone)]
struct Requirement {
    gate: Gate,
    /// One rule, shared with the grants; or why nobody can satisfy it.
    rule: Result<Arc<[Rule]>, Arc<str>>,
}

/// What a decision needs: who decided before, what for, about whose request, and the rule.
type Place<'a> = (Decided<Gate>, Grant, Client, &'a Arc<[Rule]>);

/// A requirement that cannot be decided: the layers are in an order that cannot work.
#[derive(Debug, thiserror::Error)]
enum Misplaced {
    #[error(
        "`Gate::require` stands where no gate has decided: add `.layer(gate.layer())` to the whole router, after \
         the routers with `gate.require(..)` were merged or nested into it"
    )]
    NoGate,
    #[error(
        "`Gate::require` stands below the layer of another gate: make the requirement with the gate whose \
         `layer()` is around it"
    )]
    AnotherGate,
    #[error("`Gate::require` was given a rule that nobody can satisfy: {0}")]
    Impossible(Arc<str>),
}

impl Misplaced {
    /// The body of the answer. Only the log contains the rule.
    fn line(&self) -> &'static str {
        match self {
            Self::NoGate => "huggate: the layer is missing in front of this requirement; add Gate::layer\n",
            Self::AnotherGate => {
                "huggate: this requirement is another gate's than the layer in front of it\n"
            }
            Self::Impossible(_) => "huggate: nobody can satisfy the rule that is required here\n",
        }
    }
}

impl Gate {
    /// A layer for one router or one route below [`Gate::layer`], which `rule` has to admit
    /// people to as well. For axum's `Router::layer`, `Router::route_layer` and
    /// `MethodRouter::layer`, and for any service for `http::Request`.
    ///
    /// ```
    /// # #[cfg(feature = "axum")]
    /// # fn router(gate: huggate::Gate) -> axum::Router {
    /// # async fn page() {}
    /// use axum::{Router, routing::get};
    /// use huggate::{Role, Rule};
    ///
    /// let admin = Router::new()
    ///     .route("/users", get(page))
    ///     .layer(gate.require(Rule::org("acme").with_role(Role::Admin)));
    ///
    /// Router::new()
    ///     .route("/", get(page))
    ///     .nest("/admin", admin)
    ///     .layer(gate.layer())
    /// # }
    /// ```
    ///
    /// The rules of the gate and of its routes hold as before, `deny` included; `rule` is
    /// required in addition, and so is each rule of several layers around one service. On a
    /// route that the gate has public, a person is required nevertheless. Nobody signed in:
    /// the answer starts a sign-in, or is the 401 that fits the client. Somebody whom the
    /// rule does not admit: 403. Both are the answers that the gate itself gives. A response
    /// below the layer, and [`Grant::ended`], end when the rule no longer admits the person.
    ///
    /// Call it where routers are made, and not for each request: the gate keeps the rule
    /// for good. From then on sign-ins request the scopes that the rule needs, and sessions
    /// keep the memberships that it names. A session from before is completed by asking
    /// Hugging Face again; if it lacks a scope, the 403 asks the person to sign in again. The
    /// rule stays in force for gates that [`Gate::prepare_reload`] makes of this one.
    ///
    /// Where no gate is in front of the layer, or another one, or where nobody can satisfy
    /// the rule, the answer is 500, and the log says what is wrong. [`Gate::explain`] knows
    /// nothing of the rule, since it does not know where the layer stands.
    pub fn require(&self, rule: Rule) -> RequireLayer {
        let rule = match rule.contradiction() {
            Some(why) => {
                tracing::error!("{}", Misplaced::Impossible(why.as_str().into()));
                Err(why.into())
            }
            None => {
                self.inner.added_rules.add(&rule);
                Ok([rule].into())
            }
        };
        RequireLayer { requirement: Requirement { gate: self.clone(), rule } }
    }
}

impl Requirement {
    /// Lets `inner` answer a request that may go on; otherwise the gate answers.
    async fn handle<ReqB, ResB, E, Fut>(
        &self,
        mut request: Request<ReqB>,
        inner: impl FnOnce(Request<ReqB>) -> Fut,
    ) -> Result<Response<GateBody<ResB>>, E>
    where
        ResB: Body<Data = Bytes>,
        Fut: Future<Output = Result<Response<ResB>, E>>,
    {
        let (decided, grant, client, rule) = match self.place(request.extensions()) {
            Ok(place) => place,
            Err(misplaced) => {
                tracing::error!("{misplaced}");
                return Ok(misuse::requirement(misplaced.line()).map(GateBody::own));
            }
        };
        let gate = decided.gate();
        let mounted = restore_original_uri(&mut request);
        let grant = match Ruleset::decide_required(&grant, rule).await {
            Ok(grant) => grant,
            Err(refusal) => {
                decided.restore_cookies(request.headers_mut());
                return Ok(Box::pin(refused(gate, refusal, request, &client)).await.map(GateBody::own));
            }
        };
        let attended = Attended::of(&request, FieldSet::of(request.headers()), &client);
        if let Some(mounted) = mounted {
            *request.uri_mut() = mounted;
        }
        let extensions = request.extensions_mut();
        // This decision may have asked the provider, so its person is the newer one.
        if let Some(user) = grant.user() {
            extensions.insert(user.clone());
        }
        extensions.insert(grant.clone());
        // The inner service's error may not be `Send`, and so is returned before the next wait.
        let answered = match attended.unless_ended(pin!(inner(request)), &grant).await {
            Some(response) => Some(response?),
            None => None,
        };
        Ok(match answered {
            Some(response) => {
                let watch = attended.watch(&response, &grant);
                response.map(|body| match body.is_end_stream() {
                    true => GateBody::inner(body),
                    false => GateBody::inner_while(body, watch),
                })
            }
            None => gate.interrupted_and_presented(&grant, &attended).await.map(GateBody::own),
        })
    }

    /// What the gate's layer left in a request, and the rule to decide it by.
    fn place(&self, extensions: &Extensions) -> Result<Place<'_>, Misplaced> {
        let found =
            (extensions.get::<Decided<Gate>>(), extensions.get::<Grant>(), extensions.get::<Client>());
        let (Some(decided), Some(grant), Some(client)) = found else { return Err(Misplaced::NoGate) };
        if !decided.was_by(&self.gate.inner.ruleset) {
            return Err(Misplaced::AnotherGate);
        }
        let rule = self.rule.as_ref().map_err(|why| Misplaced::Impossible(Arc::clone(why)))?;
        Ok((decided.clone(), grant.clone(), client.clone(), rule))
    }
}

/// The gate's answer to a refused request. The layer above leaves it as it is.
async fn refused<B>(
    gate: &Gate,
    refusal: Refusal,
    mut request: Request<B>,
    client: &Client,
) -> Response<Bytes> {
    let parts = take_head(&mut request);
    drop(request);
    let mut response = gate.inner.refuse(refusal, &parts, client).await;
    response.extensions_mut().insert(OwnAnswer);
    response
}

impl<S> Layer<S> for RequireLayer {
    type Service = RequireService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireService { requirement: self.requirement.clone(), inner }
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for RequireService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    ReqB: Send + 'static,
    ResB: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<GateBody<ResB>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        // `poll_ready` was called on this service, so it is called, and the clone stays.
        let waiting = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, waiting);
        let requirement = self.requirement.clone();
        Box::pin(async move { requirement.handle(request, |request| ready.call(request)).await })
    }
}
