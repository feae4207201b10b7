//! The request line of HTTP/1, as its bytes show it.

use bytes::BytesMut;

use super::request_target::{encode, has_fragment, needs_encoding};

/// A longer line is left to the parser, which refuses it.
const MAX_LINE: usize = 128 * 1024;

/// What the first bytes of a request are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestLine {
    /// The parser takes the target as it is, or refuses it with good reason.
    AsSent,
    /// The line has not ended.
    Incomplete,
    /// The target has a raw `#`, where the parser would cut it.
    RawFragment,
    /// The same bytes, with the target as the parser takes it.
    Encoded(BytesMut),
}

impl RequestLine {
    /// Inspects the first bytes of a request. Empty lines may precede it (RFC 9112,
    /// section 2.2).
    pub(super) fn inspect(bytes: &[u8]) -> Self {
        let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
        let (_, request) = bytes.split_at(start);
        let Some(end) = memchr::memchr(b'\n', request) else {
            return if request.len() > MAX_LINE { Self::AsSent } else { Self::Incomplete };
        };
        let (line, _) = request.split_at(end);
        // Between the first space and the last; with others in between, no parser takes it.
        let (Some(first), Some(last)) = (memchr::memchr(b' ', line), memchr::memrchr(b' ', line)) else {
            return Self::AsSent;
        };
        let target = line.get(first + 1..last).unwrap_or_default();
        if has_fragment(target) {
            return Self::RawFragment;
        }
        if !needs_encoding(target) {
            return Self::AsSent;
        }
        let (before, rest) = bytes.split_at(start + first + 1);
        let (_, after) = rest.split_at(target.len());
        let mut encoded = BytesMut::with_capacity(bytes.len() + 2 * target.len());
        encoded.extend_from_slice(before);
        encode(target, &mut encoded);
        encoded.extend_from_slice(after);
        Self::Encoded(encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_fragment_counts_only_in_the_target() {
        for (bytes, expected) in [
            (&b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"[..], RequestLine::RawFragment),
            (b"\r\nGET /?a#b HTTP/1.1\r\n", RequestLine::RawFragment),
            (b"GET /a%23b HTTP/1.1\r\nX: #\r\n\r\n", RequestLine::AsSent),
            (b"GET /a#b", RequestLine::Incomplete),
            (b"\r\n", RequestLine::Incomplete),
            (b"", RequestLine::Incomplete),
            (b"garbage\r\n", RequestLine::AsSent),
        ] {
            assert_eq!(RequestLine::inspect(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn only_the_target_is_encoded() {
        let bytes = b"\r\nGET /?x=[\"A\"] HTTP/1.1\r\nX: \"<\"\r\n\r\nbody\"";
        let encoded = b"\r\nGET /?x=[%22A%22] HTTP/1.1\r\nX: \"<\"\r\n\r\nbody\"";
        assert_eq!(RequestLine::inspect(bytes), RequestLine::Encoded(BytesMut::from(&encoded[..])));
    }
}
