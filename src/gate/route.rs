//! Routes: which part of the app a request is for. The first match decides.

use std::collections::{HashMap, HashSet};

use http::Method;
use url::Url;

use super::pattern::PathPattern;
use super::policy::Access;
use super::rule::Rule;
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

/// The routes in order, and an index that finds the first match in as many steps
/// as the path has segments, however many routes there are.
#[derive(Debug, Default)]
pub(super) struct Routes {
    list: Vec<Route>,
    hosts: HashSet<String>,
    exact: HashMap<Box<[u8]>, Vec<usize>>,
    folders: HashMap<Box<[u8]>, Vec<usize>>,
    /// How many bytes the longest key of `folders` has.
    longest_folder: usize,
    /// Routes without a path.
    anywhere: Vec<usize>,
}

/// What a route is looked up by, but for the path.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) host: &'a str,
    /// Whether hosts are compared without their ports.
    pub(super) by_name: bool,
    pub(super) method: &'a Method,
    /// The method that it asks about, if it is a CORS preflight.
    pub(super) preflight: Option<&'a Method>,
}

impl Routes {
    pub(super) fn new(list: Vec<Route>) -> Self {
        let hosts = list.iter().filter_map(|route| route.host.clone()).collect();
        let mut routes = Self { hosts, ..Self::default() };
        for (index, route) in list.iter().enumerate() {
            match &route.path {
                None => routes.anywhere.push(index),
                Some(PathPattern { path, below: false }) => {
                    routes.exact.entry(path.clone()).or_default().push(index)
                }
                Some(PathPattern { path, below: true }) => {
                    routes.longest_folder = routes.longest_folder.max(path.len());
                    routes.folders.entry(path.clone()).or_default().push(index)
                }
            }
        }
        routes.list = list;
        routes
    }

    pub(super) fn get(&self, index: usize) -> Option<&Route> {
        self.list.get(index)
    }

    /// How tokens are taken where this route, or none, matches.
    pub(super) fn bearer_use(&self, index: Option<usize>) -> BearerUse {
        index.and_then(|index| self.get(index)).map_or(BearerUse::Also, |route| route.bearer)
    }

    pub(super) fn list(&self) -> &[Route] {
        &self.list
    }

    /// Whether `host` has the name of a route's and a port that nobody configured.
    /// Servers with several hosts look at the name alone, or at both. `own`, the
    /// public URL's, is configured; but a route without a port may mean it.
    pub(super) fn has_strange_port(&self, host: &str, own: &str) -> bool {
        let (name, _) = name_and_port(host);
        let may_mean = |route: &String| {
            let (route_name, route_port) = name_and_port(route);
            route_name == name && (host != own || route_port.is_none())
        };
        !self.hosts.is_empty() && !self.hosts.contains(host) && self.hosts.iter().any(may_mean)
    }

    /// The index of the first route that matches.
    pub(super) fn find(&self, asked: Asked<'_>, path: &[u8]) -> Option<usize> {
        if self.list.is_empty() {
            return None;
        }
        let mut first = self.first_of(&self.anywhere, asked, None);
        if let Some(indices) = self.exact.get(path) {
            first = self.first_of(indices, asked, first);
        }
        if self.folders.is_empty() {
            return first;
        }
        // Each look hashes all of a folder's name. So it begins at the deepest one
        // that some route can have: a path of 30,000 segments takes no longer.
        let mut folder = Some(path);
        if let Some(start) = path.get(..=self.longest_folder) {
            folder = parent(start);
        }
        while let Some(name) = folder {
            if let Some(indices) = self.folders.get(name) {
                first = self.first_of(indices, asked, first);
            }
            folder = parent(name);
        }
        first
    }

    /// The least of `before` and those of `indices` (which ascend) that match.
    fn first_of(&self, indices: &[usize], asked: Asked<'_>, before: Option<usize>) -> Option<usize> {
        let limit = before.unwrap_or(usize::MAX);
        let candidates = indices.iter().copied().take_while(|index| *index < limit);
        let matches = |index: &usize| self.list.get(*index).is_some_and(|route| route.is_for(asked));
        candidates.into_iter().find(matches).or(before)
    }
}

/// The folder that something is in, without its final slash.
fn parent(path: &[u8]) -> Option<&[u8]> {
    path.get(..memchr::memrchr(b'/', path)?)
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
    pub(super) fn takes(&self, method: &Method) -> bool {
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

    fn is_for(&self, asked: Asked<'_>) -> bool {
        (self.takes(asked.method)
            || (self.preflight && asked.preflight.is_some_and(|about| self.takes(about))))
            && self.host.as_ref().is_none_or(|host| {
                host == asked.host || (asked.by_name && name_and_port(host).0 == name_and_port(asked.host).0)
            })
    }

    /// Whether both routes decide the same and lead to the same place, so that it
    /// does not matter which of them a request is for.
    pub(super) fn decides_like(&self, other: &Self) -> bool {
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
            Asked { host: "a.example", by_name: false, method: &Method::GET, preflight: None },
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
                    .find(Asked { host, by_name: false, method: &method, preflight: None }, b"/x")
                    .is_some(),
                found,
                "{method} {host}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn the_index_finds_what_a_look_through_the_list_would(
            patterns in proptest::collection::vec("(/[ab]){0,3}(/\\*\\*)?", 0..12),
            path in "(/[abc]){0,4}/?",
        ) {
            let patterns: Vec<PathPattern> = patterns
                .iter()
                .filter_map(|text| PathPattern::parse(if text.is_empty() { "/" } else { text }).ok())
                .collect();
            let naive = patterns.iter().position(|pattern| {
                let known = &pattern.path;
                path.as_bytes() == &**known
                    || (pattern.below && path.as_bytes().strip_prefix(&**known).is_some_and(|rest| rest.first() == Some(&b'/')))
            });
            let routes = Routes::new(patterns.iter().cloned().map(Route::path).collect());
            proptest::prop_assert_eq!(find(&routes, &path), naive);
        }
    }
}
