//! Routes: which part of the app a request is for. The first match decides.

use http::Method;
use url::Url;

use super::path::{PathPattern, folded, is_folded};
use super::route_index::{Index, Paths};
use super::rule::Rule;
use super::verdict::Access;
use crate::client::name_and_port;

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

/// The routes in order, and where to find them.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    list: Vec<Route>,
    index: Index,
    /// The same by folded patterns, if any is not what it was.
    loose: Option<Index>,
}

/// What a route is looked up by, but for the path.
#[derive(Clone, Copy)]
pub(crate) struct RouteQuery<'a> {
    pub(crate) host: &'a str,
    /// Whether hosts are compared without their ports.
    pub(crate) by_name: bool,
    pub(crate) method: &'a Method,
    /// The method that it asks about, if it is a CORS preflight.
    pub(crate) preflight: Option<&'a Method>,
}

impl Routes {
    pub(crate) fn new(list: Vec<Route>) -> Self {
        let index_of = |pattern: &dyn Fn(&Route) -> Option<PathPattern>| {
            let mut index = Index::default();
            for (place, route) in list.iter().enumerate() {
                let pattern = pattern(route);
                let paths = pattern.as_ref().map_or(Paths::All, PathPattern::paths);
                index.add(place, route.host.as_deref(), paths);
            }
            index
        };
        let folded = |route: &Route| route.path.as_ref().map(PathPattern::folded);
        let folds = list.iter().any(|route| folded(route) != route.path);
        let (index, loose) = (index_of(&|route| route.path.clone()), folds.then(|| index_of(&folded)));
        Self { list, index, loose }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Route> {
        self.list.get(index)
    }

    /// How tokens are taken where this route, or none, matches.
    pub(crate) fn bearer_use(&self, index: Option<usize>) -> BearerUse {
        index.and_then(|index| self.get(index)).map_or(BearerUse::Also, |route| route.bearer)
    }

    pub(crate) fn list(&self) -> &[Route] {
        &self.list
    }

    /// Whether `host` has the name of a route's and a port that nobody configured.
    /// Servers with several hosts look at the name alone, or at both. `own`, the
    /// public URL's, is configured; but a route without a port may mean it.
    pub(crate) fn has_strange_port(&self, host: &str, own: &str) -> bool {
        let (name, _) = name_and_port(host);
        !self.index.has_host(host) && self.index.has_name(name) && (host != own || self.index.has_host(name))
    }

    /// The index of the first route that matches.
    pub(crate) fn find(&self, asked: RouteQuery<'_>, path: &[u8]) -> Option<usize> {
        self.first(&self.index, asked, path)
    }

    /// The index of the first route that may match for a server that is less exact
    /// (see [`PathPattern::folded`]) and that `matters`. Any of those may be the
    /// first to some server: one sees no case, another no slash at the end.
    pub(crate) fn find_loosely(
        &self,
        asked: RouteQuery<'_>,
        path: &[u8],
        matters: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let index = match &self.loose {
            Some(loose) => loose,
            None if is_folded(path) => return None,
            None => &self.index,
        };
        // What is longer than all patterns need not be looked at to its end.
        let head = path.get(..=index.longest() + 1).filter(|head| head.is_ascii());
        let is_for = |place: usize| self.get(place).is_some_and(|route| route.is_for(asked));
        let mut room = [0; 128];
        let path = folded(head.unwrap_or(path), &mut room);
        index.first(asked.host, asked.by_name, &path, |place| is_for(place) && matters(place))
    }

    /// Whether a less exact server takes the paths of both for the same. Whoever
    /// wrote two such routes has a server that does not.
    pub(crate) fn are_two_spellings(&self, one: usize, other: usize) -> bool {
        let folded = |place| self.get(place)?.path.as_ref().map(PathPattern::folded);
        folded(one).is_some_and(|one| folded(other) == Some(one))
    }

    fn first(&self, index: &Index, asked: RouteQuery<'_>, path: &[u8]) -> Option<usize> {
        let is_for = |place: usize| self.get(place).is_some_and(|route| route.is_for(asked));
        index.first(asked.host, asked.by_name, path, is_for)
    }
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

    fn is_for(&self, asked: RouteQuery<'_>) -> bool {
        (self.takes(asked.method)
            || (self.preflight && asked.preflight.is_some_and(|about| self.takes(about))))
            && self.host.as_ref().is_none_or(|host| {
                host == asked.host || (asked.by_name && name_and_port(host).0 == name_and_port(asked.host).0)
            })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&str]) -> Routes {
        Routes::new(patterns.iter().map(|text| Route::path(PathPattern::parse(text).unwrap())).collect())
    }

    fn find(routes: &Routes, path: &str) -> Option<usize> {
        routes.find(
            RouteQuery { host: "a.example", by_name: false, method: &Method::GET, preflight: None },
            path.as_bytes(),
        )
    }

    #[test]
    fn a_folder_covers_itself_and_all_below_and_no_neighbour() {
        let routes = routes(&["/admin/**"]);
        for (path, found) in [
            ("/admin", Some(0)),
            ("/admin/", Some(0)),
            ("/admin/x/y", Some(0)),
            ("/administrator", None),
            ("/Admin", None),
            ("/x/admin", None),
            ("/", None),
        ] {
            assert_eq!(find(&routes, path), found, "{path}");
        }
    }

    #[test]
    fn the_first_match_decides_whatever_kind_it_is() {
        let table = ["/a/b", "/a/**", "/a/b/c", "/**", "/x"];
        let routes = routes(&table);
        for (path, found) in [("/a/b", 0), ("/a", 1), ("/a/b/c", 1), ("/x", 3), ("/", 3), ("/a/", 1)] {
            assert_eq!(find(&routes, path), Some(found), "{path}");
        }
    }

    #[test]
    fn host_and_method_narrow_a_route_and_get_covers_head() {
        let mut route = Route::path(PathPattern::parse("/**").unwrap());
        route.host = Some("a.example".to_owned());
        route.methods = vec![Method::GET];
        let routes = Routes::new(vec![route]);
        for (host, method, found) in [
            ("a.example", Method::GET, true),
            ("a.example", Method::HEAD, true),
            ("a.example", Method::POST, false),
            ("a.example", Method::OPTIONS, false),
            ("b.example", Method::GET, false),
        ] {
            assert_eq!(
                routes
                    .find(RouteQuery { host, by_name: false, method: &method, preflight: None }, b"/x")
                    .is_some(),
                found,
                "{method} {host}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn the_index_finds_what_a_look_through_the_list_would(
            rows in proptest::collection::vec((0..4_usize, "|(/[ab]){0,3}(/\\*\\*)?"), 0..12),
            path in "(/[abc]){0,4}/?",
            host in 1..4_usize,
            by_name: bool,
        ) {
            let hosts = [None, Some("a.example"), Some("a.example:81"), Some("b.example")];
            let list: Vec<Route> = rows
                .iter()
                .map(|(host, path)| Route {
                    host: hosts[*host].map(str::to_owned),
                    path: PathPattern::parse(path).ok(),
                    ..Route::unspecified()
                })
                .collect();
            let asked = RouteQuery { host: hosts[host].unwrap(), by_name, method: &Method::GET, preflight: None };
            let is_host = |route: &str| {
                if by_name { route[..1] == asked.host[..1] } else { route == asked.host }
            };
            let naive = list.iter().position(|route| {
                let is_path = route.path.as_ref().is_none_or(|pattern| {
                    let rest = path.as_bytes().strip_prefix(&*pattern.path);
                    rest.is_some_and(|rest| rest.is_empty() || (pattern.below && rest[0] == b'/'))
                });
                is_path && route.host.as_deref().is_none_or(is_host)
            });
            proptest::prop_assert_eq!(Routes::new(list).find(asked, path.as_bytes()), naive);
        }
    }
}
