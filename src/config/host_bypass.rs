//! Detection of routes whose `host` can be bypassed, because the same app is reachable with
//! other hosts.
//!
//! Clients can send any `Host`. A rule for one host therefore protects an app only if the
//! routes for all other hosts lead to other apps or are at least as strict, or if the app
//! checks the host itself, which is unknown here.

use url::Url;

use super::consumer::Consumer;
use super::reader::Table;
use super::routes::RouteEntry;
use crate::policy::{Access, Route, RouteAccess};

/// Warns of each such route.
pub(super) fn warn(root: &Table<'_>, routes: &[RouteEntry<'_>], access: &Access, consumer: Consumer) {
    let default = root.field("upstream").and_then(|field| Url::parse(field.as_text()?).ok());
    // The layer has only one app, whatever `upstream` says.
    let app = |route: &Route| match consumer {
        Consumer::Layer => None,
        #[cfg(feature = "proxy")]
        Consumer::Serving => route.upstream.clone().or_else(|| default.clone()),
        Consumer::Proxy => route.upstream.clone().or_else(|| default.clone()),
    };
    let list: Vec<&Route> = routes.iter().map(|(route, _)| route).collect();
    let fallback = Route::unspecified();
    for (index, (route, field)) in routes.iter().enumerate() {
        if route.host.is_none() {
            continue;
        }
        let earlier = list.get(..index).unwrap_or_default();
        let leads_around = |other: &Route, before: &[&Route]| {
            other.host != route.host
                && app(other) == app(route)
                && !is_as_strict(other, route, access)
                // Requests that match the other route with its host, and are not matched
                // earlier.
                && route.shared_with(other).is_some_and(|shared| shared.shadowed_by(earlier).is_none())
                && other.shared_with(route).is_some_and(|shared| shared.shadowed_by(before).is_none())
        };
        let around = routes
            .iter()
            .enumerate()
            .find(|(place, (other, _))| leads_around(other, list.get(..*place).unwrap_or_default()));
        let through = match around {
            Some((_, (_, field))) => field.place(),
            None if leads_around(&fallback, &list) => "[access]".to_owned(),
            None => continue,
        };
        if let Some(host) = field.as_table().and_then(|table| table.field("host")) {
            host.warn(format_args!(
                "does not protect the app: with another Host header, requests reach it through {through}, which has \
                 other rules; give the route an upstream of its own, or check the host in the app"
            ));
        }
    }
}

/// Whether `other` certainly admits nobody whom `route` does not.
fn is_as_strict(other: &Route, route: &Route, access: &Access) -> bool {
    let admits_no_more = match (&other.access, &route.access) {
        (_, RouteAccess::Public) => true,
        (RouteAccess::Public, _) => false,
        (theirs, own) => match (allowed(theirs, access), allowed(own, access)) {
            (_, Access::Anyone) => true,
            (Access::Anyone, _) => false,
            (Access::Rules(theirs), Access::Rules(own)) => theirs.iter().all(|rule| own.contains(rule)),
        },
    };
    admits_no_more
        && route.deny.iter().all(|rule| other.deny.contains(rule))
        && (route.preflight || !other.preflight)
        && (route.preflight || other.cors.iter().all(|origin| route.cors.contains(origin)))
}

fn allowed<'a>(route: &'a RouteAccess, access: &'a Access) -> &'a Access {
    match route {
        RouteAccess::Own(own) => own,
        RouteAccess::Inherited | RouteAccess::Public => access,
    }
}
