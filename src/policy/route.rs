//! A route: a part of the app with rules of its own.

use http::Method;
use url::Url;

use super::access::Access;
use super::path::PathPattern;
use super::rule::Rule;

/// A part of the app with rules of its own. Begin with [`Route::path`] or
/// [`Route::host`], then set what differs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Route {
    /// Only requests for this host, with its port unless that is the scheme's own.
    pub host: Option<String>,
    /// Only requests for these paths.
    pub path: Option<PathPattern>,
    /// Only requests with these methods; `GET` covers `HEAD`. Empty: all.
    pub methods: Vec<Method>,
    /// Who may enter.
    pub access: RouteAccess,
    /// Who may not, whatever `access` says.
    pub deny: Vec<Rule>,
    /// Where the proxy sends its requests; the layer does not look at it.
    pub upstream: Option<Url>,
    /// Whether API clients may come with a token.
    pub bearer: BearerUse,
    /// Whether the app gets the `Authorization` that a request came with.
    pub forward_authorization: bool,
    /// Whether CORS preflights (an `OPTIONS` that browsers send without
    /// credentials) pass, without an identity. The route is then for those that
    /// ask about one of its methods too, besides `OPTIONS` as far as it has that.
    pub preflight: bool,
}

/// How a route takes `Authorization: Bearer`, where tokens are accepted at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum BearerUse {
    /// As well as a session.
    #[default]
    Also,
    /// Instead of a session: cookies do not count, nobody is sent to sign in.
    Only,
    /// Not at all: the header says nothing to the gate.
    Off,
}

/// Who may enter a route.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteAccess {
    /// Everybody, signed in or not.
    Public,
    /// Whoever the gate as a whole lets in.
    Inherited,
    /// This route's own list.
    Own(Access),
}

impl Route {
    /// A route for all requests with this path, open to whoever the gate as a
    /// whole lets in, until told otherwise.
    #[must_use]
    pub fn path(path: PathPattern) -> Self {
        Self { path: Some(path), ..Self::unspecified() }
    }

    /// A route for all requests for this host, with its port unless that is the
    /// scheme's own; otherwise as [`Route::path`].
    #[must_use]
    pub fn host(host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..Self::unspecified() }
    }

    /// What decides where no route matches.
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
        }
    }

    /// Which requests it is for: `GET POST mlflow.example.com/admin/**`.
    #[must_use]
    pub fn pattern(&self) -> String {
        let methods: String = self.methods.iter().map(|method| format!("{method} ")).collect();
        methods + &self.place()
    }

    /// Host and path alone: `mlflow.example.com/admin/**`.
    #[must_use]
    pub fn place(&self) -> String {
        let path = self.path.as_ref().map_or("/**".to_owned(), PathPattern::to_string);
        format!("{}{path}", self.host.as_deref().unwrap_or_default())
    }

    /// Lets everybody in, signed in or not.
    #[must_use]
    pub fn public(self) -> Self {
        Self { access: RouteAccess::Public, ..self }
    }

    /// Lets in whom one of `rules` means, instead of whom the gate as a whole does.
    #[must_use]
    pub fn allow(self, rules: Vec<Rule>) -> Self {
        Self { access: RouteAccess::Own(Access::Rules(rules)), ..self }
    }

    /// Keeps out whom one of `rules` means, whoever is let in otherwise.
    #[must_use]
    pub fn deny(self, rules: Vec<Rule>) -> Self {
        Self { deny: rules, ..self }
    }

    /// Lets CORS preflights pass, without an identity.
    #[must_use]
    pub fn preflight(self) -> Self {
        Self { preflight: true, ..self }
    }

    /// Whether requests with this method are for the route.
    pub(crate) fn takes(&self, method: &Method) -> bool {
        let is_it = |listed: &Method| listed == method || (*listed == Method::GET && *method == Method::HEAD);
        self.methods.is_empty() || self.methods.iter().any(is_it)
    }

    /// Takes tokens of API clients in this way, where they are taken at all.
    #[must_use]
    pub fn bearer(self, bearer: BearerUse) -> Self {
        Self { bearer, ..self }
    }

    /// Lets the app see the `Authorization` that requests come with. With tokens of
    /// API clients it gets a credential that can do far more than come in here.
    #[must_use]
    pub fn forward_authorization(self) -> Self {
        Self { forward_authorization: true, ..self }
    }

    /// Whether both routes decide the same and lead to the same place, so that it
    /// does not matter which of them a request is for.
    pub(crate) fn decides_like(&self, other: &Self) -> bool {
        self.access == other.access
            && self.deny == other.deny
            && self.upstream == other.upstream
            && self.bearer == other.bearer
            && self.forward_authorization == other.forward_authorization
            && self.preflight == other.preflight
    }
}

/// Every rule of a gate with this access and these routes.
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
