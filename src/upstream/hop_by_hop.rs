//! Removes hop-by-hop headers (RFC 9110, section 7.6.1).
//!
//! The gate has removed them from a request that it passed on with its grant. A service
//! behind the layer may send one in which they are still there, so the fixed names are
//! removed here too.

use http::header::{
    CONNECTION, CONTENT_LENGTH, Entry, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING,
};

use crate::client::{FieldSet, accepts_trailers, is_hop_by_hop, is_hop_by_hop_in_request};

/// How the body of a response is framed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// Without a `Transfer-Encoding`.
    Plain,
    /// By chunks or the end of the connection. hyper decodes it, and a `Content-Length`
    /// beside it does not count (RFC 9112, section 6.3).
    Decoded,
    /// By this `Content-Length`, which hyper does not apply: it takes `identity` for a
    /// coding, and reads to the end of the connection.
    Length(u64),
    /// By a coding that hyper does not decode. The header is removed here, so the client
    /// would not learn of it.
    Unsupported,
}

impl Framing {
    /// The framing by the headers of a response. `identity` is what RFC 2616 called the
    /// absence of a coding, and servers still send it.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let (mut is_chunked, mut is_identity) = (false, false);
        for coding in headers.get_all(TRANSFER_ENCODING) {
            let coding = coding.as_bytes().trim_ascii();
            let seen = if coding.eq_ignore_ascii_case(b"chunked") {
                &mut is_chunked
            } else if coding.eq_ignore_ascii_case(b"identity") {
                &mut is_identity
            } else {
                return Self::Unsupported;
            };
            *seen = true;
        }
        match (is_chunked, is_identity) {
            (false, false) => return Self::Plain,
            (true, false) => return Self::Decoded,
            (true, true) => return Self::Unsupported,
            (false, true) => {}
        }
        let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
        let Some(length) = lengths.next() else { return Self::Decoded };
        let digits = length.as_bytes();
        if lengths.any(|other| other != length) || !digits.iter().all(u8::is_ascii_digit) {
            return Self::Unsupported;
        }
        let parsed = length.to_str().ok().and_then(|length| length.parse().ok());
        parsed.map_or(Self::Unsupported, Self::Length)
    }
}

/// Removes the hop-by-hop headers of a request, `Upgrade` among them. `TE: trailers`
/// stays, because gRPC servers require it.
pub(super) fn clean_request(headers: &mut HeaderMap, fields: FieldSet) {
    if !fields.has(FieldSet::HOP_BY_HOP_IN_REQUEST) {
        return;
    }
    let trailers = accepts_trailers(headers);
    remove(headers, is_hop_by_hop_in_request);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes the hop-by-hop headers of a response, and those its `Connection` names.
pub(super) fn clean_response(headers: &mut HeaderMap, fields: FieldSet) {
    if !fields.has(FieldSet::CONNECTION) || remove_plain_connection(headers) {
        if !fields.has(FieldSet::HOP_BY_HOP_BUT_CONNECTION) {
            return;
        }
    } else {
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

/// Removes a `Connection` that names no field, as nearly all are.
fn remove_plain_connection(headers: &mut HeaderMap) -> bool {
    let Entry::Occupied(connection) = headers.entry(CONNECTION) else { return true };
    let is_plain =
        |line: &HeaderValue| matches!(line.as_bytes(), b"keep-alive" | b"close" | b"Keep-Alive" | b"Close");
    let removed = connection.iter().all(is_plain);
    if removed {
        connection.remove();
    }
    removed
}

/// Removes the hop-by-hop headers of a response.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove(headers, is_hop_by_hop);
}

/// One pass over all names, and no allocation if none is removed.
fn remove(headers: &mut HeaderMap, is_removed: impl Fn(&HeaderName) -> bool) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| is_removed(name)).cloned().collect();
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
        let fields = FieldSet::of(&request);
        clean_request(&mut request, fields);
        assert_eq!(request, headers(&[("x-kept", "1"), ("te", "trailers")]));
    }

    #[test]
    fn chunked_and_identity_are_the_supported_codings() {
        for (coding, expected) in [
            ("chunked", Framing::Decoded),
            ("Chunked ", Framing::Decoded),
            ("Identity", Framing::Decoded),
            ("gzip, chunked", Framing::Unsupported),
            ("identity, chunked", Framing::Unsupported),
            ("chunked, identity", Framing::Unsupported),
            ("gzip", Framing::Unsupported),
        ] {
            assert_eq!(Framing::of(&headers(&[("transfer-encoding", coding)])), expected, "{coding}");
        }
        assert_eq!(Framing::of(&headers(&[("content-length", "5")])), Framing::Plain);
    }

    #[test]
    fn identity_leaves_the_framing_to_one_content_length() {
        for (lengths, expected) in [
            (&["5"][..], Framing::Length(5)),
            (&["5", "5"], Framing::Length(5)),
            (&["5", "6"], Framing::Unsupported),
            (&["+5"], Framing::Unsupported),
            (&["5, 5"], Framing::Unsupported),
            (&[""], Framing::Unsupported),
            (&["99999999999999999999"], Framing::Unsupported),
        ] {
            let mut response = headers(&[("transfer-encoding", "identity")]);
            for length in lengths {
                response.append(CONTENT_LENGTH, HeaderValue::from_static(length));
            }
            assert_eq!(Framing::of(&response), expected, "{lengths:?}");
        }
    }

    #[test]
    fn headers_named_by_connection_are_removed_from_a_response() {
        let mut response =
            headers(&[("connection", "close, X-Private"), ("x-private", "1"), ("x-kept", "1")]);
        let fields = FieldSet::of(&response);
        clean_response(&mut response, fields);
        assert_eq!(response, headers(&[("x-kept", "1")]));
    }
}
