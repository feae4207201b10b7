//! CORS preflights: the request that a browser sends before a cross-origin request (Fetch
//! standard, "CORS-preflight request").

use http::Method;

use super::cors::CorsOrigin;
use super::route_table::RouteQuery;
use super::verdict::Policy;

/// The request headers that identify a preflight.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PreflightHeaders<'a> {
    /// The number of `Origin` fields.
    pub(crate) origins: usize,
    /// The value of `Access-Control-Request-Method`, if there is exactly one.
    pub(crate) requested_method: Option<&'a [u8]>,
    /// Whether the request has a body.
    pub(crate) body: bool,
}

/// The method that a preflight announces; `None` if the request is not a preflight.
///
/// A preflight is `OPTIONS` with one `Origin`, one `Access-Control-Request-Method` and no
/// body. Every client can send these headers, so they grant nothing by themselves: only
/// `preflight = true` and `cors` of a route do.
pub(crate) fn requested_method(method: &Method, headers: PreflightHeaders<'_>) -> Option<Method> {
    if *method != Method::OPTIONS || headers.body || headers.origins != 1 {
        return None;
    }
    Method::from_bytes(headers.requested_method?).ok()
}

impl Policy {
    /// Whether a CORS preflight from `origin` passes. No rule is evaluated: browsers send
    /// preflights without credentials.
    pub(crate) fn admits_preflight(
        &self,
        route: Option<usize>,
        query: RouteQuery<'_>,
        origin: &[u8],
    ) -> bool {
        let lists = |listed: &CorsOrigin| listed.as_str().as_bytes() == origin;
        let marked = route
            .and_then(|index| self.routes.get(index))
            .is_some_and(|route| route.preflight || route.cors.iter().any(lists));
        query.preflight.is_some() && marked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_that_browsers_send_is_a_preflight() {
        let valid = PreflightHeaders { origins: 1, requested_method: Some(b"PUT"), body: false };
        assert_eq!(requested_method(&Method::OPTIONS, valid), Some(Method::PUT));
        for (method, headers) in [
            (Method::GET, valid),
            (Method::POST, valid),
            (Method::OPTIONS, PreflightHeaders::default()),
            (Method::OPTIONS, PreflightHeaders { requested_method: None, ..valid }),
            (Method::OPTIONS, PreflightHeaders { origins: 0, ..valid }),
            (Method::OPTIONS, PreflightHeaders { origins: 2, ..valid }),
            (Method::OPTIONS, PreflightHeaders { requested_method: Some(b""), ..valid }),
            (Method::OPTIONS, PreflightHeaders { requested_method: Some(b"PUT, GET"), ..valid }),
            (Method::OPTIONS, PreflightHeaders { body: true, ..valid }),
        ] {
            assert_eq!(requested_method(&method, headers), None, "{method} {headers:?}");
        }
    }
}
