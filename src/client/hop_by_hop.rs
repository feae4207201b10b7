//! The fields that end at each connection (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, HeaderMap, HeaderValue, TE, UPGRADE};

/// Whether a field of this name, in lower case, is hop-by-hop whatever `Connection` says.
/// `Trailer` of a response is end-to-end (RFC 9110, section 6.6.2).
pub(crate) fn is_hop_by_hop(name: &str) -> bool {
    // Nearly every field is passed over by its first letter.
    match name.as_bytes().first() {
        Some(b'c') => name == "connection",
        Some(b'k') => name == "keep-alive",
        Some(b't') => matches!(name, "te" | "transfer-encoding"),
        Some(b'u') => name == "upgrade",
        Some(b'h') => name == "http2-settings",
        Some(b'p') => matches!(name, "proxy-authenticate" | "proxy-authorization" | "proxy-connection"),
        _ => false,
    }
}

/// Whether a field of this name, in lower case, ends here in a request. `Trailer` is one of
/// them: the trailers of requests are dropped, so nothing may announce them.
pub(crate) fn is_hop_by_hop_in_request(name: &str) -> bool {
    is_hop_by_hop(name) || name == "trailer"
}

/// Whether `TE` accepts trailers, which gRPC servers require.
pub(crate) fn accepts_trailers(headers: &HeaderMap) -> bool {
    let is_trailers = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"trailers");
    let mut codings = headers.get_all(TE).iter().flat_map(|te| te.as_bytes().split(|byte| *byte == b','));
    codings.any(is_trailers)
}

/// Whether a message asks for a WebSocket or accepts one (RFC 6455, section 4):
/// `Upgrade` is `websocket` alone, and `Connection` has the option `upgrade`.
pub(crate) fn is_websocket_handshake(headers: &HeaderMap) -> bool {
    let is_upgrade = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"upgrade");
    let mut lines = headers.get_all(CONNECTION).iter().map(HeaderValue::as_bytes);
    headers.get(UPGRADE).is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && lines.any(|line| line.split(|byte| *byte == b',').any(is_upgrade))
}
