//! CORS preflights: what a browser asks before it sends a request of another
//! site's page (Fetch standard, "CORS-preflight request").

use http::Method;
use http::header::{
    ACCESS_CONTROL_REQUEST_METHOD, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    TRANSFER_ENCODING,
};

/// The method that a preflight asks about; `None` if the request is none.
///
/// It is `OPTIONS` with one `Origin` and one `Access-Control-Request-Method`, and
/// brings no body. Anybody can send these headers, so they make no request
/// another one; they only make it one that a route may let through.
pub(crate) fn asks_about(method: &Method, headers: &HeaderMap) -> Option<Method> {
    if *method != Method::OPTIONS || has_body(headers) {
        return None;
    }
    the_one(headers, &ORIGIN)?;
    Method::from_bytes(the_one(headers, &ACCESS_CONTROL_REQUEST_METHOD)?.as_bytes()).ok()
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers.get_all(CONTENT_LENGTH).iter().any(|length| length != "0")
}

/// The value of a header that is there once.
fn the_one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &Method, headers: &[(&'static str, &'static str)]) -> Option<String> {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        asks_about(method, &headers).map(|method| method.to_string())
    }

    #[test]
    fn only_what_a_browser_sends_is_a_preflight() {
        let origin = ("origin", "https://other.example");
        let about = ("access-control-request-method", "PUT");
        assert_eq!(asked(&Method::OPTIONS, &[origin, about]).as_deref(), Some("PUT"));
        assert_eq!(asked(&Method::OPTIONS, &[("origin", "null"), about]).as_deref(), Some("PUT"));
        assert_eq!(
            asked(&Method::OPTIONS, &[origin, about, ("content-length", "0")]).as_deref(),
            Some("PUT")
        );
        for (method, headers) in [
            (Method::GET, vec![origin, about]),
            (Method::POST, vec![origin, about]),
            (Method::OPTIONS, vec![]),
            (Method::OPTIONS, vec![origin]),
            (Method::OPTIONS, vec![about]),
            (Method::OPTIONS, vec![origin, origin, about]),
            (Method::OPTIONS, vec![origin, about, about]),
            (Method::OPTIONS, vec![origin, ("access-control-request-method", "")]),
            (Method::OPTIONS, vec![origin, ("access-control-request-method", "PUT, GET")]),
            (Method::OPTIONS, vec![origin, about, ("content-length", "5")]),
            (Method::OPTIONS, vec![origin, about, ("transfer-encoding", "chunked")]),
        ] {
            assert_eq!(asked(&method, &headers), None, "{method} {headers:?}");
        }
    }
}
