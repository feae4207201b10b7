//! Which requests a route has left, after those before it have taken theirs.

use std::collections::BTreeSet;

use http::Method;

use super::path::PathPattern;
use super::route::Route;

impl Route {
    /// The routes of `earlier` that take every request of this one between them,
    /// so that it never has its turn; `None` if something is left for it. CORS
    /// preflights do not count: they come for the sake of the requests.
    ///
    /// This is exact. There is always one more path in a folder, one more host and
    /// one more method than the routes name; so only a route that covers this
    /// one's paths and hosts helps to cover it, and only one for all methods
    /// covers all. What can be covered in parts is a list of methods.
    pub(crate) fn shadowed_by(&self, earlier: &[&Self]) -> Option<Vec<usize>> {
        let helps = |route: &Self| {
            let host = route.host.is_none() || route.host == self.host;
            let path = match (&route.path, &self.path) {
                (None, _) => true,
                // `/**` is all paths.
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

    /// The methods of a route that lists some, with those that go without saying.
    fn every_method(&self) -> impl Iterator<Item = &Method> {
        let head = self.methods.contains(&Method::GET).then_some(&Method::HEAD);
        self.methods.iter().chain(head)
    }

    /// For the paths and methods that both routes are for, if there are any, and
    /// for this one's host.
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
    /// Whether every path of `other` is one of these.
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
    /// What the routes below can be for, and one more of each kind.
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

    /// The routes that each of a set of requests finds.
    fn found(routes: &[Route]) -> BTreeSet<usize> {
        let table = RouteTable::new(routes.to_vec());
        let mut found = BTreeSet::new();
        for host in HOSTS {
            for method in METHODS {
                let method = method.parse().unwrap();
                let asked = RouteQuery { host, by_name: false, method: &method, preflight: None };
                found.extend(paths().iter().filter_map(|path| table.find(asked, path.as_bytes())));
            }
        }
        found
    }

    proptest! {
        #[test]
        fn a_route_is_taken_exactly_if_no_request_finds_it(
            routes in proptest::collection::vec(route(), 1..7),
        ) {
            let last = routes.len() - 1;
            let earlier: Vec<&Route> = routes[..last].iter().collect();
            let taken = routes[last].shadowed_by(&earlier);
            prop_assert_eq!(taken.is_none(), found(&routes).contains(&last), "{:#?}", routes);
            if let Some(takers) = taken {
                // Those it names do it alone.
                let mut few: Vec<Route> = takers.iter().map(|index| routes[*index].clone()).collect();
                few.push(routes[last].clone());
                prop_assert!(!found(&few).contains(&(few.len() - 1)), "{:?} of {:#?}", takers, routes);
            }
        }

        #[test]
        fn what_two_routes_share_is_what_both_take(one in route(), other in route()) {
            let anywhere = |route: &Route| RouteTable::new(vec![Route { host: None, ..route.clone() }]);
            let shared = one.shared_with(&other);
            for path in paths() {
                for method in METHODS {
                    let method = method.parse().unwrap();
                    let asked = RouteQuery { host: "a.example", by_name: false, method: &method, preflight: None };
                    let takes = |route: &Route| anywhere(route).find(asked, path.as_bytes()).is_some();
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
