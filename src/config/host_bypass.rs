//! Routes whose host is no barrier: the same app answers to other names, too.
//!
//! Whoever can send a request can send it with any `Host`. So a rule for one host
//! protects an app only if the app is not reached, or is better protected, by
//! all others; or if the app itself looks at the host, which cannot be seen here.

use url::Url;

use super::consumer::Consumer;
use super::reader::Table;
use super::routes::RouteEntry;
use crate::policy::{Access, Route, RouteAccess};

/// Warns of each such route.
pub(super) fn warn(root: &Table<'_>, routes: &[RouteEntry<'_>], access: &Access, consumer: Consumer) {
    let default = root.field("upstream").and_then(|field| Url::parse(field.as_text()?).ok());
    // Around the layer's service there is one app, whatever a route says.
    let app = |route: &Route| match consumer {
        Consumer::Proxy => route.upstream.clone().or_else(|| default.clone()),
        Consumer::Layer => None,
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
                // Requests of the one that, by the other's host, would be the other's.
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
                "is no barrier: by another name the same app is reached through {through}, which decides \
                 otherwise; give the route an upstream of its own, or let the app tell its hosts apart"
            ));
        }
    }
}

/// Whether `other` surely lets in nobody consumer `route` keeps out.
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
}

fn allowed<'a>(route: &'a RouteAccess, access: &'a Access) -> &'a Access {
    match route {
        RouteAccess::Own(own) => own,
        RouteAccess::Inherited | RouteAccess::Public => access,
    }
}
