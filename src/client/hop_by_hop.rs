//! The fields that end at each connection (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, TE, UPGRADE};

use super::field_set::FieldSet;

/// Whether a field of this name is hop-by-hop whatever `Connection` says.
pub(crate) fn is_hop_by_hop(name: &HeaderName) -> bool {
    FieldSet::of_name(name).has(FieldSet::HOP_BY_HOP)
}

/// Drops the hop-by-hop fields of an answer that is not from a connection.
pub(crate) fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_hop_by_hop(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether a field of this name ends here in a request.
pub(crate) fn is_hop_by_hop_in_request(name: &HeaderName) -> bool {
    FieldSet::of_name(name).has(FieldSet::HOP_BY_HOP_IN_REQUEST)
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
