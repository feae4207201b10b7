//! Selects the route of a request: the first match.

use http::Method;

use super::cors::CorsOrigin;
use super::path::{PathPattern, folded, is_folded};
use super::route::{AssertionUse, BearerUse, Route};
use super::route_index::{PathSet, RouteIndex};
use crate::client::name_and_port;

/// The routes in order, and their indexes.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    list: Vec<Route>,
    index: RouteIndex,
    /// The index of folded patterns, if folding changes any pattern.
    loose: Option<RouteIndex>,
    method_matters: bool,
    path_matters: bool,
    cors_matters: bool,
}

/// The parts of a request, besides the path, that select a route.
#[derive(Clone, Copy)]
pub(crate) struct RouteQuery<'a> {
    pub(crate) host: &'a str,
    /// Whether hosts are compared without their ports.
    pub(crate) by_name: bool,
    pub(crate) method: &'a Method,
    /// The announced method, if the request is a CORS preflight.
    pub(crate) preflight: Option<&'a Method>,
}

impl RouteTable {
    pub(crate) fn new(list: Vec<Route>) -> Self {
        let index_of = |pattern: &dyn Fn(&Route) -> Option<PathPattern>| {
            let mut index = RouteIndex::default();
            for (position, route) in list.iter().enumerate() {
                let pattern = pattern(route);
                let paths = pattern.as_ref().map_or(PathSet::All, PathPattern::paths);
                index.add(position, route.host.as_deref(), paths);
            }
            index
        };
        let folded = |route: &Route| route.path.as_ref().map(PathPattern::folded);
        let folds = list.iter().any(|route| folded(route) != route.path);
        let (index, loose) = (index_of(&|route| route.path.clone()), folds.then(|| index_of(&folded)));
        let method_matters = list.iter().any(|route| route.takes_preflights() || !route.methods.is_empty());
        let path_matters = list.iter().any(|route| route.path.is_some());
        let cors_matters = list.iter().any(|route| !route.cors.is_empty());
        Self { list, index, loose, method_matters, path_matters, cors_matters }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Route> {
        self.list.get(index)
    }

    /// How tokens are handled by this route, or if no route matches.
    pub(crate) fn bearer_use(&self, index: Option<usize>) -> BearerUse {
        index.and_then(|index| self.get(index)).map_or(BearerUse::Also, |route| route.bearer)
    }

    /// How the app receives the assertion on this route, or if no route matches.
    pub(crate) fn assertion_use(&self, index: Option<usize>) -> AssertionUse {
        index.and_then(|index| self.get(index)).map_or(AssertionUse::Both, |route| route.assertion)
    }

    /// The origins that may read refusals on this route.
    pub(crate) fn cors(&self, index: Option<usize>) -> &[CorsOrigin] {
        index.and_then(|index| self.get(index)).map_or(&[], |route| &route.cors)
    }

    /// Whether some route names origins.
    pub(crate) fn have_cors(&self) -> bool {
        self.cors_matters
    }

    pub(crate) fn list(&self) -> &[Route] {
        &self.list
    }

    /// Whether the host name belongs to a route but the port is not configured. Servers
    /// with several virtual hosts compare the name alone or name and port. `own`, the
    /// authority of the public URL, is configured; but a route without a port may also
    /// match it.
    pub(crate) fn has_strange_port(&self, host: &str, own: &str) -> bool {
        if !self.index.has_hosts() {
            return false;
        }
        let (name, _) = name_and_port(host);
        !self.index.has_host(host) && self.index.has_name(name) && (host != own || self.index.has_host(name))
    }

    /// Whether some route depends on the method of a request.
    pub(crate) fn depend_on_method(&self) -> bool {
        self.method_matters
    }

    /// Whether some route depends on the path of a request.
    pub(crate) fn depend_on_path(&self) -> bool {
        self.path_matters
    }

    /// The index of the first route that matches.
    pub(crate) fn find(&self, query: RouteQuery<'_>, path: &[u8]) -> Option<usize> {
        self.first(&self.index, query, path)
    }

    /// The first route that a less exact server may select (see [`PathPattern::folded`])
    /// and that `matters`. Every such route must be checked, since some servers ignore
    /// case and others ignore a trailing slash.
    pub(crate) fn find_loosely(
        &self,
        query: RouteQuery<'_>,
        path: &[u8],
        matters: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let index = match &self.loose {
            Some(loose) => loose,
            None if is_folded(path) => return None,
            None => &self.index,
        };
        // A path that is longer than every pattern need not be compared to its end.
        let head = path.get(..=index.longest() + 1).filter(|head| head.is_ascii());
        let is_for = |position: usize| self.get(position).is_some_and(|route| route.is_for(query));
        let mut room = [0; 128];
        let path = folded(head.unwrap_or(path), &mut room);
        index.first(query.host, query.by_name, &path, |position| is_for(position) && matters(position))
    }

    /// Whether a less exact server cannot tell the paths of two routes apart. An operator
    /// who configures both routes has a server that can.
    pub(crate) fn are_two_spellings(&self, one: usize, other: usize) -> bool {
        let folded = |position| self.get(position)?.path.as_ref().map(PathPattern::folded);
        folded(one).is_some_and(|one| folded(other) == Some(one))
    }

    fn first(&self, index: &RouteIndex, query: RouteQuery<'_>, path: &[u8]) -> Option<usize> {
        let is_for = |position: usize| self.get(position).is_some_and(|route| route.is_for(query));
        index.first(query.host, query.by_name, path, is_for)
    }
}

impl Route {
    fn is_for(&self, query: RouteQuery<'_>) -> bool {
        (self.takes(query.method)
            || (self.takes_preflights() && query.preflight.is_some_and(|announced| self.takes(announced))))
            && self.host.as_ref().is_none_or(|host| {
                host == query.host || (query.by_name && name_and_port(host).0 == name_and_port(query.host).0)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(patterns: &[&str]) -> RouteTable {
        RouteTable::new(patterns.iter().map(|text| Route::path(*text)).collect())
    }

    fn find(routes: &RouteTable, path: &str) -> Option<usize> {
        routes.find(
            RouteQuery { host: "a.example", by_name: false, method: &Method::GET, preflight: None },
            path.as_bytes(),
        )
    }

    #[test]
    fn a_folder_matches_itself_and_everything_below_and_no_sibling() {
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
    fn the_first_match_decides_for_exact_paths_and_folders_alike() {
        let table = ["/a/b", "/a/**", "/a/b/c", "/**", "/x"];
        let routes = routes(&table);
        for (path, found) in [("/a/b", 0), ("/a", 1), ("/a/b/c", 1), ("/x", 3), ("/", 3), ("/a/", 1)] {
            assert_eq!(find(&routes, path), Some(found), "{path}");
        }
    }

    #[test]
    fn host_and_method_restrict_a_route_and_get_covers_head() {
        let mut route = Route::path("/**");
        route.host = Some("a.example".to_owned());
        route.methods = vec![Method::GET];
        let routes = RouteTable::new(vec![route]);
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
        fn the_index_finds_the_same_route_as_a_linear_search(
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
            let query = RouteQuery { host: hosts[host].unwrap(), by_name, method: &Method::GET, preflight: None };
            let is_host = |route: &str| {
                if by_name { route[..1] == query.host[..1] } else { route == query.host }
            };
            let naive = list.iter().position(|route| {
                let is_path = route.path.as_ref().is_none_or(|pattern| {
                    let rest = path.as_bytes().strip_prefix(&*pattern.path);
                    rest.is_some_and(|rest| rest.is_empty() || (pattern.below && rest[0] == b'/'))
                });
                is_path && route.host.as_deref().is_none_or(is_host)
            });
            proptest::prop_assert_eq!(RouteTable::new(list).find(query, path.as_bytes()), naive);
        }
    }
}
