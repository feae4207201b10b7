//! Removes hop-by-hop headers (RFC 9110, section 7.6.1).
//!
//! The gate has removed them from a request that it passed on with its grant. A service
//! behind the layer may send one in which they are still there, so the fixed names are
//! removed here too.

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING};

use crate::client::{accepts_trailers, is_hop_by_hop, is_hop_by_hop_in_request};

/// Whether a response has a transfer coding besides chunked. hyper decodes only chunked,
/// and the header is removed here, so the client would not learn of the other coding.
pub(super) fn has_unsupported_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// Removes the hop-by-hop headers of a request, `Upgrade` among them. `TE: trailers`
/// stays, because gRPC servers require it.
pub(super) fn clean_request(headers: &mut HeaderMap) {
    let trailers = accepts_trailers(headers);
    remove(headers, is_hop_by_hop_in_request);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes the hop-by-hop headers of a response, and those its `Connection` names.
pub(super) fn clean_response(headers: &mut HeaderMap) {
    if let Some(connection) = headers.get(CONNECTION)
        && !matches!(connection.as_bytes(), b"keep-alive" | b"close" | b"Keep-Alive" | b"Close")
    {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter_map(|option| HeaderName::from_bytes(option.trim().as_bytes()).ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
    remove_hop_by_hop(headers);
}

/// Removes the hop-by-hop headers of a response.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove(headers, is_hop_by_hop);
}

/// One pass over all names, and no allocation if none is removed.
fn remove(headers: &mut HeaderMap, is_removed: impl Fn(&str) -> bool) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| is_removed(name.as_str())).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn hop_by_hop_headers_of_a_request_are_removed() {
        let mut request = headers(&[
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "x"),
            ("trailer", "x-forwarded-user"),
            ("x-kept", "1"),
        ]);
        clean_request(&mut request);
        assert_eq!(request, headers(&[("x-kept", "1"), ("te", "trailers")]));
    }

    #[test]
    fn only_chunked_is_a_supported_coding() {
        for (coding, unsupported) in
            [("chunked", false), ("Chunked ", false), ("gzip, chunked", true), ("gzip", true)]
        {
            let response = headers(&[("transfer-encoding", coding)]);
            assert_eq!(has_unsupported_coding(&response), unsupported, "{coding}");
        }
        assert!(!has_unsupported_coding(&HeaderMap::new()));
    }

    #[test]
    fn headers_named_by_connection_are_removed_from_a_response() {
        let mut response =
            headers(&[("connection", "close, X-Private"), ("x-private", "1"), ("x-kept", "1")]);
        clean_response(&mut response);
        assert_eq!(response, headers(&[("x-kept", "1")]));
    }
}
