//! Which route a request is judged by, if all servers would agree on that.
//!
//! A route table protects an app only as far as it agrees with the server behind it
//! on what host, method and path mean. Where readings differ and would be decided
//! differently, the request is refused.

use http::Method;

use super::path::{AmbiguousPath, PathReadings, readings};
use super::route::RouteAccess;
use super::route_table::RouteQuery;
use super::verdict::Policy;

/// Why no route can be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ambiguity {
    /// The path has readings that would be decided differently.
    Path,
    /// The host has the name of a route's and a port that is not configured.
    Host,
    /// The method is one of a route's but for upper case.
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
    /// [`Ambiguity`], if some server would take the request for one of another route
    /// that is decided differently.
    pub(crate) fn place(&self, path: &str, query: RouteQuery<'_>) -> Result<Option<usize>, Ambiguity> {
        let route = self.route_of_path(path, query)?;
        self.check_port(path, query, route)?;
        self.check_method(path, query, route)?;
        Ok(route)
    }

    /// The route of a path, if every reading of it is decided alike.
    fn route_of_path(&self, path: &str, query: RouteQuery<'_>) -> Result<Option<usize>, AmbiguousPath> {
        let several = match readings(path)? {
            PathReadings::Plain => return self.find(query, path.as_bytes()),
            PathReadings::Several(several) => several,
        };
        let route = several.first().map_or(Ok(None), |reading| self.find(query, reading))?;
        for reading in several {
            // Our endpoints have plain paths; a path that only some server reads as one
            // of them belongs to nobody.
            if self.own.prefix.covers(&reading) || !self.alike(route, self.find(query, &reading)?) {
                return Err(AmbiguousPath);
            }
        }
        Ok(route)
    }

    /// A port that is not configured must not lead past the routes of its host: the
    /// app may ignore it.
    fn check_port(&self, path: &str, query: RouteQuery<'_>, route: Option<usize>) -> Result<(), Ambiguity> {
        if !self.routes.has_strange_port(query.host, &self.own.authority) {
            return Ok(());
        }
        let by_name = self.route_of_path(path, RouteQuery { by_name: true, ..query })?;
        if self.alike(route, by_name) { Ok(()) } else { Err(Ambiguity::Host) }
    }

    /// Methods are case-sensitive (RFC 9110, section 9.1), but some frameworks take
    /// `delete` for `DELETE` (Django, Flask, Symfony), and must not be led past its
    /// route by that.
    fn check_method(&self, path: &str, query: RouteQuery<'_>, route: Option<usize>) -> Result<(), Ambiguity> {
        let method = query.method.as_str();
        if !self.routes.depend_on_method() || !method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Ok(());
        }
        let method: Method = method.to_ascii_uppercase().parse().map_err(|_| Ambiguity::Method)?;
        let other = self.route_of_path(path, RouteQuery { method: &method, ..query })?;
        // A public route needs no protection from people who may be at this one.
        let is_public = other
            .and_then(|index| self.routes.get(index))
            .is_some_and(|route| route.access == RouteAccess::Public);
        if is_public || self.alike(route, other) { Ok(()) } else { Err(Ambiguity::Method) }
    }

    /// The route of a path, unless it may be another's.
    pub(crate) fn find(&self, query: RouteQuery<'_>, path: &[u8]) -> Result<Option<usize>, AmbiguousPath> {
        let found = self.routes.find(query, path);
        if self.rival(query, path, found).is_some() { Err(AmbiguousPath) } else { Ok(found) }
    }

    /// A route before `found` that a less exact server may take a path for, if that
    /// matters. A public one does not: whoever gets there by this path was let in by
    /// the rules of `found`, and needed none.
    pub(crate) fn rival(&self, query: RouteQuery<'_>, path: &[u8], found: Option<usize>) -> Option<usize> {
        self.routes.find_loosely(query, path, |other| {
            found.is_none_or(|found| other < found && !self.routes.are_two_spellings(found, other))
                && self.routes.get(other).is_some_and(|route| route.access != RouteAccess::Public)
                && !self.alike(found, Some(other))
        })
    }
}
