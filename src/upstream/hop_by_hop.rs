//! Hop-by-hop headers: RFC 9110, section 7.6.1. They end at each connection.
//!
//! The gate has dropped what the client's `Connection` named before it wrote the
//! identity headers; here only fixed names go.

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Whether a message asks for or agrees to a WebSocket (RFC 6455, section 4):
/// `Upgrade` names it alone, and `Connection` names `Upgrade`.
pub(super) fn is_websocket(headers: &HeaderMap) -> bool {
    let upgrade =
        headers.get(UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"));
    upgrade
        && headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .any(|line| line.split(',').any(|option| option.trim().eq_ignore_ascii_case("upgrade")))
}

/// What the answer to a handshake with this key must say (RFC 6455, section 4.2.2).
pub(super) fn websocket_accept(key: &HeaderValue) -> HeaderValue {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    // base64 is ASCII.
    HeaderValue::try_from(BASE64_STANDARD.encode(hash.finish())).unwrap_or(HeaderValue::from_static("-"))
}

/// Whether a response's body is coded otherwise than in chunks. hyper undoes the
/// chunks alone, and the header ends here: nobody would know of the rest.
pub(super) fn has_lost_coding(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// Prepares a request's headers. `upgrade`: it stays a request for a WebSocket;
/// any other upgrade is not asked for, so nothing else ever tunnels.
pub(super) fn clean_request(headers: &mut HeaderMap, upgrade: bool) {
    let trailers = headers.get(TE).is_some_and(|te| {
        te.to_str().is_ok_and(|te| te.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
    });
    remove_hop_by_hop(headers);
    // A request's trailers end here, so nothing may announce them.
    headers.remove(TRAILER);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
}

/// Prepares a response's headers, what its `Connection` names included.
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

/// Prepares the headers of a 101: the two that make it one are our own.
pub(super) fn clean_upgrade(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// One look at every name; a message without such headers costs nothing more.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let found: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// A response's `Trailer` is none (RFC 9110, section 6.6.2), and our listener passes
/// on no trailers but those it names.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    *name == CONNECTION
        || *name == TRANSFER_ENCODING
        || *name == UPGRADE
        || *name == TE
        || *name == PROXY_AUTHENTICATE
        || *name == PROXY_AUTHORIZATION
        || *name == KEEP_ALIVE
        || *name == PROXY_CONNECTION
        || *name == HTTP2_SETTINGS
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
    fn hop_by_hop_headers_end_here() {
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
        clean_request(&mut request, false);
        assert_eq!(request, headers(&[("x-kept", "1"), ("te", "trailers")]));
    }

    #[test]
    fn only_a_websocket_is_an_upgrade() {
        for (pairs, expected) in [
            (vec![("upgrade", "websocket"), ("connection", "keep-alive, Upgrade")], true),
            (vec![("upgrade", "WebSocket"), ("connection", "upgrade")], true),
            (vec![("upgrade", "websocket")], false),
            (vec![("upgrade", "h2c"), ("connection", "Upgrade")], false),
            (vec![("upgrade", "h2c, websocket"), ("connection", "Upgrade")], false),
            (vec![("connection", "Upgrade")], false),
        ] {
            assert_eq!(is_websocket(&headers(&pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn a_handshake_is_answered_as_the_rfc_says() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(websocket_accept(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn no_coding_is_lost() {
        for (coding, lost) in
            [("chunked", false), ("Chunked ", false), ("gzip, chunked", true), ("gzip", true)]
        {
            assert_eq!(has_lost_coding(&headers(&[("transfer-encoding", coding)])), lost, "{coding}");
        }
        assert!(!has_lost_coding(&HeaderMap::new()));
    }

    #[test]
    fn what_a_responses_connection_names_ends_here() {
        let mut response =
            headers(&[("connection", "close, X-Private"), ("x-private", "1"), ("x-kept", "1")]);
        clean_response(&mut response);
        assert_eq!(response, headers(&[("x-kept", "1")]));
    }
}
