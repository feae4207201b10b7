//! CORS preflights: what a browser asks before it sends a request of another
//! site's page (Fetch standard, "CORS-preflight request").

use http::Method;

/// What of a request's headers makes it a preflight.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PreflightHeaders<'a> {
    /// How many `Origin` fields there are.
    pub(crate) origins: usize,
    /// The value of `Access-Control-Request-Method`, if there is exactly one.
    pub(crate) requested_method: Option<&'a [u8]>,
    /// Whether a body is announced.
    pub(crate) body: bool,
}

/// The method that a preflight asks about; `None` if the request is none.
///
/// It is `OPTIONS` with one `Origin` and one `Access-Control-Request-Method`, and has
/// no body. Every client can send these headers. They give no permission by
/// themselves: `preflight = true` of a route does.
pub(crate) fn requested_method(method: &Method, headers: PreflightHeaders<'_>) -> Option<Method> {
    if *method != Method::OPTIONS || headers.body || headers.origins != 1 {
        return None;
    }
    Method::from_bytes(headers.requested_method?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_browser_sends_is_a_preflight() {
        let sound = PreflightHeaders { origins: 1, requested_method: Some(b"PUT"), body: false };
        assert_eq!(requested_method(&Method::OPTIONS, sound), Some(Method::PUT));
        for (method, headers) in [
            (Method::GET, sound),
            (Method::POST, sound),
            (Method::OPTIONS, PreflightHeaders::default()),
            (Method::OPTIONS, PreflightHeaders { requested_method: None, ..sound }),
            (Method::OPTIONS, PreflightHeaders { origins: 0, ..sound }),
            (Method::OPTIONS, PreflightHeaders { origins: 2, ..sound }),
            (Method::OPTIONS, PreflightHeaders { requested_method: Some(b""), ..sound }),
            (Method::OPTIONS, PreflightHeaders { requested_method: Some(b"PUT, GET"), ..sound }),
            (Method::OPTIONS, PreflightHeaders { body: true, ..sound }),
        ] {
            assert_eq!(requested_method(&method, headers), None, "{method} {headers:?}");
        }
    }
}
