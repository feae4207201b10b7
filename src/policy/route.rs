//! A route: a part of the app with rules of its own.

use std::fmt;

use http::Method;
use url::Url;

use super::access::Access;
use super::cors::CorsOrigin;
use super::path::{PathPattern, PatternError};
use super::rule::Rule;

/// A part of the app with rules of its own. Start with [`Route::public`], [`Route::path`] or
/// [`Route::host`], then set what differs.
///
/// ```
/// use huggate::{Gate, Role, Route, Rule};
///
/// Gate::builder()
///     .allow(Rule::org("acme"))
///     .route(Route::public("/"))
///     .route(Route::path("/admin/**").allow(Rule::org("acme").with_role(Role::Admin)))
///     .route(Route::host("status.example.com").without_sign_in());
/// ```
///
/// A path that is not a [`PathPattern`] is reported when the gate is built.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Route {
    /// Only requests for this host. Includes the port unless it is the scheme's default.
    pub host: Option<String>,
    /// Only requests for these paths.
    pub path: Option<PathPattern>,
    /// Only requests with these methods; `GET` covers `HEAD`. Empty: all.
    pub methods: Vec<Method>,
    /// Who may enter.
    pub access: RouteAccess,
    /// Who may not enter, even if `access` lets them in.
    pub deny: Vec<Rule>,
    /// Where the proxy sends the requests; the Tower layer ignores it.
    pub(crate) upstream: Option<Url>,
    /// Whether API clients may authenticate with a token.
    pub bearer: BearerUse,
    /// Whether the app receives the request's `Authorization` header.
    pub forward_authorization: bool,
    /// Whether CORS preflights (`OPTIONS` requests that browsers send without
    /// credentials) pass without an identity. The route then also matches preflights for
    /// each of its methods.
    pub preflight: bool,
    /// Origins whose pages may read the gate's refusals, and send preflights.
    pub cors: Vec<CorsOrigin>,
    /// How the app receives the signed assertion, if there is one.
    pub assertion: AssertionUse,
    /// A path that is not a pattern. No gate is made of such a route.
    pub(crate) invalid_path: Option<(String, PatternError)>,
}

/// How the app receives the signed assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AssertionUse {
    /// In the header and in place of the session cookie.
    #[default]
    Both,
    /// In the header alone: the session cookie is removed.
    Header,
    /// In place of the session cookie alone.
    Cookie,
    /// Not at all.
    None,
}

impl AssertionUse {
    pub(crate) fn in_header(self) -> bool {
        matches!(self, Self::Both | Self::Header)
    }

    pub(crate) fn in_cookie(self) -> bool {
        matches!(self, Self::Both | Self::Cookie)
    }
}

/// How a route handles `Authorization: Bearer`, if tokens are accepted at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum BearerUse {
    /// Tokens and sessions are both accepted.
    #[default]
    Also,
    /// Only tokens are accepted: cookies are ignored, and browsers are not redirected to
    /// sign in.
    Only,
    /// Tokens are not accepted: the gate ignores the header.
    Off,
}

/// Who may enter a route.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteAccess {
    /// Everybody, signed in or not.
    Public,
    /// The access list of the whole gate.
    Inherited,
    /// A list of this route's own.
    Own(Access),
}

impl Route {
    /// A route for all requests with this path (`/exact` or `/folder/**`), open to whoever the
    /// gate as a whole lets in, until told otherwise.
    #[must_use]
    pub fn path<P>(path: P) -> Self
    where
        P: TryInto<PathPattern> + fmt::Display,
        P::Error: Into<PatternError>,
    {
        let text = path.to_string();
        match path.try_into() {
            Ok(path) => Self { path: Some(path), ..Self::unspecified() },
            Err(error) => Self { invalid_path: Some((text, error.into())), ..Self::unspecified() },
        }
    }

    /// A route that everybody may open, signed in or not.
    #[must_use]
    pub fn public<P>(path: P) -> Self
    where
        P: TryInto<PathPattern> + fmt::Display,
        P::Error: Into<PatternError>,
    {
        Self::path(path).without_sign_in()
    }

    /// A route for all requests for this host, with its port unless that is the scheme's
    /// default. Otherwise like [`Route::path`].
    #[must_use]
    pub fn host(host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..Self::unspecified() }
    }

    /// The settings that apply if no route matches.
    pub(crate) fn unspecified() -> Self {
        Self {
            host: None,
            path: None,
            methods: Vec::new(),
            access: RouteAccess::Inherited,
            deny: Vec::new(),
            upstream: None,
            bearer: BearerUse::Also,
            forward_authorization: false,
            preflight: false,
            cors: Vec::new(),
            assertion: AssertionUse::Both,
            invalid_path: None,
        }
    }

    /// The requests that the route matches: `GET POST mlflow.example.com/admin/**`.
    #[must_use]
    pub fn pattern(&self) -> String {
        let methods: String = self.methods.iter().map(|method| format!("{method} ")).collect();
        methods + &self.place()
    }

    /// Host and path only: `mlflow.example.com/admin/**`.
    #[must_use]
    pub fn place(&self) -> String {
        let path = self.path.as_ref().map_or("/**".to_owned(), PathPattern::to_string);
        format!("{}{path}", self.host.as_deref().unwrap_or_default())
    }

    /// Lets everybody in, signed in or not.
    #[must_use]
    pub fn without_sign_in(self) -> Self {
        Self { access: RouteAccess::Public, ..self }
    }

    /// Lets in people who match this rule, or one of these, instead of the gate's own access
    /// list. Called again, it adds alternatives.
    #[must_use]
    pub fn allow(mut self, rules: impl Into<Vec<Rule>>) -> Self {
        let rules = rules.into();
        match &mut self.access {
            RouteAccess::Own(Access::Rules(before)) => before.extend(rules),
            RouteAccess::Own(Access::Anyone) | RouteAccess::Public | RouteAccess::Inherited => {
                self.access = RouteAccess::Own(Access::Rules(rules));
            }
        }
        self
    }

    /// Lets in every Hugging Face account.
    #[must_use]
    pub fn allow_anyone(self) -> Self {
        Self { access: RouteAccess::Own(Access::Anyone), ..self }
    }

    /// Keeps out people who match this rule, or one of these, even if another rule lets them
    /// in. Called again, it adds rules.
    #[must_use]
    pub fn deny(mut self, rules: impl Into<Vec<Rule>>) -> Self {
        self.deny.extend(rules.into());
        self
    }

    /// Only requests with these methods; `GET` covers `HEAD`.
    #[must_use]
    pub fn methods(self, methods: impl Into<Vec<Method>>) -> Self {
        Self { methods: methods.into(), ..self }
    }

    /// Lets CORS preflights pass, without an identity.
    #[must_use]
    pub fn preflight(self) -> Self {
        Self { preflight: true, ..self }
    }

    /// Lets pages of these origins read the gate's refusals on this route, and lets their
    /// CORS preflights pass as [`Route::preflight`] does. The app answers the preflights, and
    /// its own answers are unchanged.
    #[must_use]
    pub fn cors(self, origins: Vec<CorsOrigin>) -> Self {
        Self { cors: origins, ..self }
    }

    /// Sets how the app receives the signed assertion: twice it can be too long for the app's
    /// server.
    #[must_use]
    pub fn assertion(self, assertion: AssertionUse) -> Self {
        Self { assertion, ..self }
    }

    /// Whether some CORS preflights pass.
    pub(crate) fn takes_preflights(&self) -> bool {
        self.preflight || !self.cors.is_empty()
    }

    /// Whether the route matches this method.
    pub(crate) fn takes(&self, method: &Method) -> bool {
        let is_it = |listed: &Method| listed == method || (*listed == Method::GET && *method == Method::HEAD);
        self.methods.is_empty() || self.methods.iter().any(is_it)
    }

    /// Sets how the route handles tokens of API clients, if they are accepted at all.
    #[must_use]
    pub fn bearer(self, bearer: BearerUse) -> Self {
        Self { bearer, ..self }
    }

    /// Passes the request's `Authorization` header to the app. With tokens of API
    /// clients, the app then receives a credential that grants far more than access to
    /// this app.
    #[must_use]
    pub fn forward_authorization(self) -> Self {
        Self { forward_authorization: true, ..self }
    }

    /// Whether both routes make the same decision and use the same upstream, so that it
    /// does not matter which of them matches.
    pub(crate) fn decides_like(&self, other: &Self) -> bool {
        self.access == other.access
            && self.deny == other.deny
            && self.upstream == other.upstream
            && self.bearer == other.bearer
            && self.forward_authorization == other.forward_authorization
            && self.preflight == other.preflight
            && self.cors == other.cors
            && self.assertion == other.assertion
    }
}

/// All rules of a gate with this access list and these routes.
pub(crate) fn all_rules<'a>(
    access: &'a Access,
    deny: &'a [Rule],
    routes: &'a [Route],
) -> impl Iterator<Item = &'a Rule> {
    let of_routes = routes.iter().flat_map(|route| {
        let own = match &route.access {
            RouteAccess::Own(access) => access.rules(),
            RouteAccess::Public | RouteAccess::Inherited => &[],
        };
        own.iter().chain(&route.deny)
    });
    access.rules().iter().chain(deny).chain(of_routes)
}
