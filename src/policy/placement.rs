//! Selects the route of a request, if all servers would agree on it.
//!
//! A route table protects an app only if the gate and the server behind it agree on what
//! host, method and path mean. If the interpretations differ and lead to different
//! decisions, the request is refused.

use http::Method;

use super::path::{AmbiguousPath, PathReadings, readings};
use super::route::RouteAccess;
use super::route_table::RouteQuery;
use super::verdict::Policy;

/// Why no route can be selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ambiguity {
    /// The path has readings that lead to different decisions.
    Path,
    /// The host name belongs to a route, but the port is not configured.
    Host,
    /// The method equals a route's method only after conversion to upper case.
    Method,
}

impl From<AmbiguousPath> for Ambiguity {
    fn from(AmbiguousPath: AmbiguousPath) -> Self {
        Self::Path
    }
}

impl Policy {
    /// The route of a request; `None` where none matches.
    ///
    /// # Errors
    /// [`Ambiguity`], if another server could assign the request to a different route
    /// that leads to another decision.
    pub(crate) fn place(&self, path: &str, query: RouteQuery<'_>) -> Result<Option<usize>, Ambiguity> {
        let route = self.route_of_path(path, query)?;
        self.check_port(path, query, route)?;
        self.check_method(path, query, route)?;
        Ok(route)
    }

    /// The route of a path, if all of its readings lead to the same decision.
    fn route_of_path(&self, path: &str, query: RouteQuery<'_>) -> Result<Option<usize>, AmbiguousPath> {
        let several = match readings(path)? {
            PathReadings::Plain => return self.find(query, path.as_bytes()),
            PathReadings::Several(several) => several,
        };
        let route = several.first().map_or(Ok(None), |reading| self.find(query, reading))?;
        for reading in several {
            // The gate's endpoints have plain paths. A path that only some servers
            // resolve to one of them is refused.
            if self.own.prefix.covers(&reading) || !self.alike(route, self.find(query, &reading)?) {
                return Err(AmbiguousPath);
            }
        }
        Ok(route)
    }

    /// An unconfigured port must not bypass the routes of its host: the app may ignore
    /// the port.
    fn check_port(&self, path: &str, query: RouteQuery<'_>, route: Option<usize>) -> Result<(), Ambiguity> {
        if !self.routes.has_strange_port(query.host, &self.own.authority) {
            return Ok(());
        }
        let by_name = self.route_of_path(path, RouteQuery { by_name: true, ..query })?;
        if self.alike(route, by_name) { Ok(()) } else { Err(Ambiguity::Host) }
    }

    /// Methods are case-sensitive (RFC 9110, section 9.1), but some frameworks treat
    /// `delete` as `DELETE` (Django, Flask, Symfony). The lower-case form must not bypass
    /// the route of the method.
    fn check_method(&self, path: &str, query: RouteQuery<'_>, route: Option<usize>) -> Result<(), Ambiguity> {
        let method = query.method.as_str();
        if !self.routes.depend_on_method() || !method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Ok(());
        }
        let method: Method = method.to_ascii_uppercase().parse().map_err(|_| Ambiguity::Method)?;
        let other = self.route_of_path(path, RouteQuery { method: &method, ..query })?;
        // If the other route is public, there is nothing to bypass.
        let is_public = other
            .and_then(|index| self.routes.get(index))
            .is_some_and(|route| route.access == RouteAccess::Public);
        if is_public || self.alike(route, other) { Ok(()) } else { Err(Ambiguity::Method) }
    }

    /// The route of a path, unless a less exact server may select another one.
    pub(crate) fn find(&self, query: RouteQuery<'_>, path: &[u8]) -> Result<Option<usize>, AmbiguousPath> {
        let found = self.routes.find(query, path);
        if self.rival(query, path, found).is_some() { Err(AmbiguousPath) } else { Ok(found) }
    }

    /// An earlier route than `found` that a less exact server may select for the path, if
    /// it is decided differently. Public routes are skipped: a person who satisfies the
    /// rules of `found` may enter a public route too.
    pub(crate) fn rival(&self, query: RouteQuery<'_>, path: &[u8], found: Option<usize>) -> Option<usize> {
        self.routes.find_loosely(query, path, |other| {
            found.is_none_or(|found| other < found && !self.routes.are_two_spellings(found, other))
                && self.routes.get(other).is_some_and(|route| route.access != RouteAccess::Public)
                && !self.alike(found, Some(other))
        })
    }
}
