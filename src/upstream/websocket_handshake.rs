//! The WebSocket opening handshake (RFC 6455, section 4; RFC 8441 for HTTP/2).

use aws_lc_rs::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Version;
use http::header::{CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::request::Parts;

use crate::client::{ExtendedConnect, FieldSet, is_websocket_handshake};

/// Whether a request asks for a WebSocket.
pub(super) enum Upgrade {
    None,
    /// HTTP/1.1: the client itself checks `Sec-WebSocket-Accept`.
    Http1,
    /// HTTP/2: the listener made up the key, so `Sec-WebSocket-Accept` is checked here.
    Http2 {
        expected_accept: Option<HeaderValue>,
        extended_connect: ExtendedConnect,
    },
}

impl Upgrade {
    /// `fields` are those of `parts`.
    pub(super) fn of(parts: &Parts, fields: FieldSet, extended_connect: Option<ExtendedConnect>) -> Self {
        if let Some(extended_connect) = extended_connect {
            let expected_accept = parts.headers.get(SEC_WEBSOCKET_KEY).map(accept_for);
            Self::Http2 { expected_accept, extended_connect }
        } else if fields.has(FieldSet::UPGRADE)
            && parts.version == Version::HTTP_11
            && is_websocket_handshake(&parts.headers)
        {
            Self::Http1
        } else {
            Self::None
        }
    }

    pub(super) fn is_requested(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether the headers of a 101 complete the handshake.
    pub(super) fn is_accepted_by(&self, headers: &HeaderMap) -> bool {
        match self {
            Self::None | Self::Http1 => true,
            Self::Http2 { expected_accept, .. } => {
                expected_accept.is_some() && headers.get(SEC_WEBSOCKET_ACCEPT) == expected_accept.as_ref()
            }
        }
    }

    /// What the listener holds for an HTTP/2 stream.
    pub(super) fn into_extended_connect(self) -> Option<ExtendedConnect> {
        match self {
            Self::None | Self::Http1 => None,
            Self::Http2 { extended_connect, .. } => Some(extended_connect),
        }
    }
}

/// Adds the hop-by-hop headers of a handshake.
pub(super) fn insert_upgrade(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// The `Sec-WebSocket-Accept` for a key (RFC 6455, section 4.2.2).
fn accept_for(key: &HeaderValue) -> HeaderValue {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    // base64 is ASCII, so this does not fail.
    HeaderValue::try_from(BASE64_STANDARD.encode(hash.finish())).unwrap_or(HeaderValue::from_static("-"))
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

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
            let headers: HeaderMap = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            assert_eq!(is_websocket_handshake(&headers), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_accept_value_is_that_of_the_rfc() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept_for(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
