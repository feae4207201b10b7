//! Detects routes that earlier routes shadow completely.

use std::collections::BTreeSet;

use http::Method;

use super::path::PathPattern;
use super::route::Route;

impl Route {
    /// The routes of `earlier` that together match every request of this one, so that it
    /// is never used; `None` if some requests are left. CORS preflights are ignored: they
    /// only precede requests.
    ///
    /// This is exact. Folders, hosts and methods always have members that no route names,
    /// so only a route that covers all paths and hosts of this one can shadow it, and
    /// only a route for all methods can shadow all methods. Only a list of methods can be
    /// shadowed by several routes in combination.
    pub(crate) fn shadowed_by(&self, earlier: &[&Self]) -> Option<Vec<usize>> {
        let helps = |route: &Self| {
            let host = route.host.is_none() || route.host == self.host;
            let path = match (&route.path, &self.path) {
                (None, _) => true,
                // `/**` matches all paths.
                (Some(theirs), None) => theirs.below && theirs.path.is_empty(),
                (Some(theirs), Some(own)) => theirs.covers(own),
            };
            host && path
        };
        let candidates: Vec<(usize, &Self)> =
            earlier.iter().copied().enumerate().filter(|(_, route)| helps(route)).collect();
        let of_all = |route: &Self| {
            let every = !self.methods.is_empty() && self.every_method().all(|method| route.takes(method));
            route.methods.is_empty() || every
        };
        if let Some((index, _)) = candidates.iter().find(|(_, route)| of_all(route)) {
            return Some(vec![*index]);
        }
        if self.methods.is_empty() {
            return None;
        }
        let taker = |method| Some(candidates.iter().find(|(_, route)| route.takes(method))?.0);
        let takers: Option<BTreeSet<usize>> = self.every_method().map(taker).collect();
        takers.map(|takers| takers.into_iter().collect())
    }

    /// The methods of a route that lists some, including the implied `HEAD`.
    fn every_method(&self) -> impl Iterator<Item = &Method> {
        let head = self.methods.contains(&Method::GET).then_some(&Method::HEAD);
        self.methods.iter().chain(head)
    }

    /// The intersection of both routes' paths and methods, with this route's host; `None`
    /// if it is empty.
    pub(crate) fn shared_with(&self, other: &Self) -> Option<Self> {
        let path = match (&self.path, &other.path) {
            (None, path) | (path, None) => path,
            (Some(own), Some(theirs)) if own.covers(theirs) => &other.path,
            (Some(own), Some(theirs)) if theirs.covers(own) => &self.path,
            (Some(_), Some(_)) => return None,
        };
        let methods: Vec<Method> = match (self.methods.is_empty(), other.methods.is_empty()) {
            (true, _) => other.methods.clone(),
            (false, true) => self.methods.clone(),
            (false, false) => self.every_method().filter(|method| other.takes(method)).cloned().collect(),
        };
        let nothing = methods.is_empty() && !(self.methods.is_empty() && other.methods.is_empty());
        let shared = Self { host: self.host.clone(), path: path.clone(), methods, ..Self::unspecified() };
        (!nothing).then_some(shared)
    }
}

impl PathPattern {
    /// Whether this pattern matches every path that `other` matches.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        if !self.below {
            return self == other;
        }
        let rest = other.path.strip_prefix(&*self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::route_table::{RouteQuery, RouteTable};
    use super::*;

    const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "OPTIONS", "BREW"];
    /// The hosts of the routes below, and one more.
    const HOSTS: [&str; 3] = ["a.example", "b.example", "c.example"];

    fn paths() -> Vec<String> {
        let mut paths = vec![String::new()];
        for deeper in 0..3 {
            let above: Vec<String> =
                paths.iter().filter(|path| path.matches('/').count() == deeper).cloned().collect();
            paths.extend(above.iter().flat_map(|path| ["a", "b", "c"].map(|name| format!("{path}/{name}"))));
        }
        paths
    }

    fn route() -> impl Strategy<Value = Route> {
        let path =
            prop_oneof![Just(None), "(/[ab]){1,2}(/\\*\\*)?".prop_map(Some), Just(Some("/**".to_owned()))];
        let host = prop_oneof![2 => Just(None), 1 => Just(Some("a.example")), 1 => Just(Some("b.example"))];
        let methods = proptest::sample::subsequence(METHODS[..4].to_vec(), 0..=3);
        (path, host, methods, any::<bool>()).prop_map(|(path, host, methods, preflight)| Route {
            path: path.map(|path| PathPattern::parse(&path).unwrap()),
            host: host.map(str::to_owned),
            methods: methods.iter().map(|method| method.parse().unwrap()).collect(),
            preflight,
            ..Route::unspecified()
        })
    }

    /// The routes that a set of sample requests selects.
    fn found(routes: &[Route]) -> BTreeSet<usize> {
        let table = RouteTable::new(routes.to_vec());
        let mut found = BTreeSet::new();
        for host in HOSTS {
            for method in METHODS {
                let method = method.parse().unwrap();
                let query = RouteQuery { host, by_name: false, method: &method, preflight: None };
                found.extend(paths().iter().filter_map(|path| table.find(query, path.as_bytes())));
            }
        }
        found
    }

    proptest! {
        #[test]
        fn a_route_is_shadowed_exactly_if_no_request_selects_it(
            routes in proptest::collection::vec(route(), 1..7),
        ) {
            let last = routes.len() - 1;
            let earlier: Vec<&Route> = routes[..last].iter().collect();
            let shadowing = routes[last].shadowed_by(&earlier);
            prop_assert_eq!(shadowing.is_none(), found(&routes).contains(&last), "{:#?}", routes);
            if let Some(takers) = shadowing {
                // The named routes shadow it without the others.
                let mut few: Vec<Route> = takers.iter().map(|index| routes[*index].clone()).collect();
                few.push(routes[last].clone());
                prop_assert!(!found(&few).contains(&(few.len() - 1)), "{:?} of {:#?}", takers, routes);
            }
        }

        #[test]
        fn the_intersection_of_two_routes_matches_what_both_match(one in route(), other in route()) {
            let anywhere = |route: &Route| RouteTable::new(vec![Route { host: None, ..route.clone() }]);
            let shared = one.shared_with(&other);
            for path in paths() {
                for method in METHODS {
                    let method = method.parse().unwrap();
                    let query = RouteQuery { host: "a.example", by_name: false, method: &method, preflight: None };
                    let takes = |route: &Route| anywhere(route).find(query, path.as_bytes()).is_some();
                    prop_assert_eq!(
                        shared.as_ref().is_some_and(takes),
                        takes(&one) && takes(&other),
                        "{} {}", method, path
                    );
                }
            }
        }
    }
}
