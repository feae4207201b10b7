//! Bytes of a request target that a URI does not have, and clients send all the same.

use bytes::BufMut;

/// Whether a raw `#` is in the target. RFC 9112, section 3.2, and RFC 9113, section 8.3.1,
/// allow no fragment in it. The parsers cut the target there, so only the bytes show it.
pub(super) fn has_fragment(target: &[u8]) -> bool {
    memchr::memchr(b'#', target).is_some()
}

/// Whether [`encode`] changes the target.
pub(super) fn needs_encoding(target: &[u8]) -> bool {
    let (path, query) = split(target);
    path.iter().any(|byte| is_raw_in_path(*byte))
        || query.iter().any(|byte| is_raw_in_query(*byte))
        || std::str::from_utf8(target).is_err()
}

/// Writes the target with those bytes percent-encoded that the URI parser refuses: `"`, `<`
/// and `>` in a query, as in `?symbols=["A","B"]`; `<`, `>` and the backtick in a path; and
/// what is not UTF-8. The request is decided, and forwarded, in this form. Control
/// characters and spaces stay, and stay refused.
pub(super) fn encode(target: &[u8], encoded: &mut impl BufMut) {
    let (path, _) = split(target);
    let is_utf8 = std::str::from_utf8(target).is_ok();
    for (index, byte) in target.iter().copied().enumerate() {
        let is_raw = if index < path.len() { is_raw_in_path(byte) } else { is_raw_in_query(byte) };
        if is_raw || (!is_utf8 && !byte.is_ascii()) {
            let hex = |digit: u8| if digit < 10 { b'0' + digit } else { b'A' + digit - 10 };
            encoded.put_slice(&[b'%', hex(byte >> 4), hex(byte & 15)]);
        } else {
            encoded.put_u8(byte);
        }
    }
}

/// The path, and the query with its `?`.
fn split(target: &[u8]) -> (&[u8], &[u8]) {
    target.split_at(memchr::memchr(b'?', target).unwrap_or(target.len()))
}

fn is_raw_in_path(byte: u8) -> bool {
    matches!(byte, b'<' | b'>' | b'`')
}

fn is_raw_in_query(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>')
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::*;

    fn encoded(target: &[u8]) -> Vec<u8> {
        let mut encoded = Vec::new();
        encode(target, &mut encoded);
        encoded
    }

    #[test]
    fn what_the_parser_refuses_is_encoded_and_nothing_else() {
        for byte in (0x21..=0xff).filter(|byte| !matches!(byte, b'#' | b'?' | 0x7f)) {
            for target in [vec![b'/', byte], vec![b'/', b'?', byte]] {
                let refused = PathAndQuery::from_maybe_shared(target.clone()).is_err();
                assert_eq!(needs_encoding(&target), refused, "{byte:#x} in {target:?}");
                assert_eq!(encoded(&target) != target, refused, "{byte:#x} in {target:?}");
                assert!(PathAndQuery::from_maybe_shared(encoded(&target)).is_ok(), "{byte:#x} in {target:?}");
            }
        }
        assert_eq!(encoded(b"/`a?x=[\"A\"]&y=<>`"), b"/%60a?x=[%22A%22]&y=%3C%3E`");
        assert_eq!(encoded("/é?é".as_bytes()), "/é?é".as_bytes());
        assert_eq!(encoded(b"/caf\xe9?\xff"), b"/caf%E9?%FF");
    }
}
