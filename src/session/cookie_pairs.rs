//! Parses `Cookie` lines of requests (RFC 6265, section 4.2.1).

use std::ops::Range;

use http::header::{COOKIE, HeaderMap};

/// The maximum number of pairs in a `Cookie` line that are searched for the gate's
/// cookies. Browsers keep fewer than 200 for a site.
const MAX_PAIRS: usize = 512;

/// The value of the first cookie called `name`.
pub(crate) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    find_bytes(headers, name).and_then(|value| std::str::from_utf8(value).ok())
}

pub(super) fn find_bytes<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers
        .get_all(COOKIE)
        .iter()
        .flat_map(|header| pairs(header.as_bytes()))
        .find(|pair| pair.name == name.as_bytes())
        .map(|pair| pair.value)
}

/// One `name=value` of a `Cookie` line, and its position.
pub(super) struct Pair<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    pub(super) span: Range<usize>,
}

/// The pairs of a `Cookie` line (RFC 6265, section 4.2.1), parsed leniently: a pair
/// without `=` is a name without a value, as browsers send it. Pairs past the limit are
/// ignored.
pub(super) fn pairs(line: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    all_pairs(line).take(MAX_PAIRS)
}

/// All pairs without a limit, for removing every cookie of the gate.
pub(super) fn all_pairs(line: &[u8]) -> impl Iterator<Item = Pair<'_>> {
    let mut rest = 0..line.len();
    std::iter::from_fn(move || {
        loop {
            let tail = line.get(rest.clone()).filter(|tail| !tail.is_empty())?;
            let end = rest.start + memchr::memchr(b';', tail).unwrap_or(tail.len());
            let span = trim(line, rest.start..end);
            rest.start = (end + 1).min(rest.end);
            if span.is_empty() {
                continue;
            }
            let pair = line.get(span.clone())?;
            let (name, value) = match memchr::memchr(b'=', pair) {
                Some(equals) => (pair.get(..equals)?, pair.get(equals + 1..)?),
                None => (pair, [].as_slice()),
            };
            return Some(Pair { name: name.trim_ascii(), value: unquoted(value.trim_ascii()), span });
        }
    })
}

fn trim(line: &[u8], mut span: Range<usize>) -> Range<usize> {
    while line.get(span.start).is_some_and(u8::is_ascii_whitespace) && span.start < span.end {
        span.start += 1;
    }
    while span.end > span.start && line.get(span.end - 1).is_some_and(u8::is_ascii_whitespace) {
        span.end -= 1;
    }
    span
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}
