//! Path variants: the ways in which servers interpret a path, each a plain function from
//! path to path.
//!
//! The gate itself applies none of them to the path that it forwards. Each is what some
//! server does before it looks up a resource, in an order of its own; `readings.rs`
//! combines them.

use std::borrow::Cow;

use memchr::memchr;
use memchr::memmem;

/// One path variant; borrowed if it changes nothing.
type Variant = fn(&[u8]) -> Cow<'_, [u8]>;

/// The known path variants.
pub(crate) const VARIANTS: [Variant; 18] = [
    |path| unescaped(path, |_| true),
    // ASP.NET Core and Undertow do not decode `%2f`; Apache can be configured not to.
    |path| unescaped(path, |byte| byte != b'/'),
    // In the URL parser of browsers and Node, `%2e%2e` is a dot segment, and all other
    // escapes are kept (URL Standard, section 4.4).
    |path| unescaped(path, |byte| byte == b'.'),
    unescaped_utf16,
    slashed,
    merged,
    // Parameters of a segment, or of the whole path (Jetty 9.2).
    without_parameters,
    |path| before(path, |byte| byte == b';').into(),
    resolved,
    // C strings end at NUL. A server that decodes before it looks for the query ends the
    // path at `%3f` or `%23` (Apache CVE-2024-38474). A server that writes the decoded
    // path into another request ends it at a line break.
    |path| before(path, |byte| matches!(byte, 0 | b'?' | b'#' | b'\r' | b'\n')).into(),
    // Windows ignores dots and spaces at the end of a name; frameworks ignore white space
    // there (Flask, Spring, Express).
    |path| segments(path, |segment| trimmed(segment, |c| matches!(c, '.' | ' '))),
    |path| segments(path, |segment| trimmed(segment, is_white)),
    without_streams,
    // URL parsers drop tabs and line breaks anywhere (URL Standard, section 4.4; Python's
    // `urlsplit`). Jetty dropped NUL (CVE-2021-34429).
    |path| without(path, |byte| matches!(byte, b'\t' | b'\r' | b'\n')),
    |path| without(path, |byte| byte == 0),
    without_authority,
    // ASP.NET removes the session segment itself, and IIS does so before it
    // (CVE-2023-36899).
    |path| without_session(path, b"/"),
    |path| without_session(path, b""),
];

/// Decodes the escapes of characters that must be escaped (RFC 3986, section 2.2):
/// `/caf%C3%A9` is the only valid form of `/café`, also for a server that decodes
/// nothing. None of these bytes is a delimiter in a path.
pub(crate) fn spelled_out(path: &[u8]) -> Cow<'_, [u8]> {
    unescaped(path, |byte| {
        matches!(byte, 0x80..|b' '| b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}')
    })
}

/// Percent-decodes once, except for bytes that `which` excludes.
fn unescaped(path: &[u8], which: impl Fn(u8) -> bool) -> Cow<'_, [u8]> {
    if memchr(b'%', path).is_none() {
        return path.into();
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, ..] => hex(&[*high, *low]).and_then(|value| u8::try_from(value).ok()),
            _ => None,
        };
        if let Some(escaped) = escaped.filter(|escaped| which(*escaped)) {
            out.push(escaped);
            rest = rest.get(3..).unwrap_or_default();
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    shorter(path, out)
}

/// Decodes `%u002f`, as HTTP.sys and IIS do, and as Jetty did (CVE-2021-34429).
fn unescaped_utf16(path: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(path, b"%u").or_else(|| memmem::find(path, b"%U")).is_none() {
        return path.into();
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        let escaped = match rest {
            [b'%', b'u' | b'U', digits @ ..] => digits.get(..4).and_then(hex).and_then(char::from_u32),
            _ => None,
        };
        if let Some(escaped) = escaped {
            out.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes());
            rest = rest.get(6..).unwrap_or_default();
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    shorter(path, out)
}

fn hex(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

/// Replaces `\` by `/`.
fn slashed(path: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', path).is_none() {
        return path.into();
    }
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

/// Merges consecutive slashes.
fn merged(path: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(path, b"//").is_none() {
        return path.into();
    }
    let mut out = path.to_vec();
    out.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
    out.into()
}

/// Cuts each segment at its first `;`.
fn without_parameters(path: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b';', path).is_none() {
        return path.into();
    }
    segments(path, |segment| before(segment, |byte| byte == b';'))
}

/// Resolves dot segments (RFC 3986, section 5.2.4).
fn resolved(path: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(path, b"/.").is_none() {
        return path.into();
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut parts = path.split(|byte| *byte == b'/').peekable();
    // The part before the first slash is empty.
    parts.next();
    while let Some(segment) = parts.next() {
        let last = parts.peek().is_none();
        match segment {
            b"." if last => kept.push(b""),
            b"." => {}
            b".." => {
                kept.pop();
                if last {
                    kept.push(b"");
                }
            }
            _ => kept.push(segment),
        }
    }
    let mut out = Vec::with_capacity(path.len());
    for segment in kept {
        out.push(b'/');
        out.extend_from_slice(segment);
    }
    if out.is_empty() {
        out.push(b'/');
    }
    shorter(path, out)
}

/// Removes the bytes that are `unseen`.
fn without(path: &[u8], unseen: impl Fn(u8) -> bool) -> Cow<'_, [u8]> {
    if !path.iter().any(|byte| unseen(*byte)) {
        return path.into();
    }
    path.iter().copied().filter(|byte| !unseen(*byte)).collect()
}

/// Removes a host at the start: `//a/b` is `/b` at host `a`, if it is parsed as a
/// relative reference (RFC 3986, section 4.2), as by `new URL(request.url, base)`.
fn without_authority(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.starts_with(b"//") {
        return path.into();
    }
    let host = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    let rest = path.get(host..).unwrap_or_default();
    memchr(b'/', rest).and_then(|end| rest.get(end..)).unwrap_or(b"/").into()
}

/// Removes the segments, or starts of segments, that contain the session of a cookieless
/// ASP.NET app, `/(S(x))`, and puts `between` in their place.
fn without_session<'a>(path: &'a [u8], between: &[u8]) -> Cow<'a, [u8]> {
    if memmem::find(path, b"/(").is_none() {
        return path.into();
    }
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        let end = session_end(rest);
        if let Some(after) = end.and_then(|end| rest.get(end..)) {
            out.extend_from_slice(between);
            rest = after;
        } else {
            out.push(*byte);
            rest = after;
        }
    }
    shorter(path, out)
}

/// Where `/(A(x)S(y))` ends, if `path` starts with it.
fn session_end(path: &[u8]) -> Option<usize> {
    let mut end = 2;
    path.strip_prefix(b"/(")?;
    while let [b'A'..=b'Z' | b'a'..=b'z', b'(', rest @ ..] = path.get(end..)? {
        end += 3 + rest.iter().take_while(|byte| **byte != b'/').position(|byte| *byte == b')')?;
    }
    (end > 2 && path.get(end) == Some(&b')')).then_some(end + 1)
}

/// Applies `change` to each segment.
fn segments(path: &[u8], change: impl Fn(&[u8]) -> &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        out.extend_from_slice(change(segment));
    }
    shorter(path, out)
}

/// Removes NTFS stream names at the end of segments: `admin::$INDEX_ALLOCATION` and
/// `admin:$I30:$INDEX_ALLOCATION` are `admin` to NTFS.
fn without_streams(path: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(path, b":$").is_none() {
        return path.into();
    }
    segments(path, |segment| match (memchr(b':', segment), memmem::rfind(segment, b":$")) {
        (Some(name), Some(kind)) if name < kind => segment.get(..name).unwrap_or_default(),
        _ => segment,
    })
}

/// Removes trailing characters that are `unseen`; `.` and `..` are kept.
fn trimmed(segment: &[u8], unseen: impl Fn(char) -> bool) -> &[u8] {
    let mut rest = segment;
    while !matches!(rest, b"." | b"..")
        && let Some((before, last)) = split_last_char(rest)
        && unseen(last)
    {
        rest = before;
    }
    rest
}

fn is_white(c: char) -> bool {
    c.is_whitespace() || c.is_control() || c == '\u{feff}'
}

/// The last character and the rest before it, in UTF-8 or otherwise in Latin-1.
fn split_last_char(text: &[u8]) -> Option<(&[u8], char)> {
    let (last, before) = text.split_last()?;
    if last.is_ascii() {
        return Some((before, char::from(*last)));
    }
    let start = text.iter().rev().take(4).position(|byte| !matches!(byte, 0x80..=0xbf));
    let (start, character) = text.split_at_checked(text.len().checked_sub(1 + start.unwrap_or(0))?)?;
    let decoded = std::str::from_utf8(character).ok().and_then(|text| text.chars().next());
    Some(decoded.map_or((before, char::from(*last)), |c| (start, c)))
}

/// The part before the first byte that is `end`.
fn before(path: &[u8], end: impl Fn(u8) -> bool) -> &[u8] {
    path.split(|byte| end(*byte)).next().unwrap_or_default()
}

/// `out`, if it is shorter than `path`.
fn shorter(path: &[u8], out: Vec<u8>) -> Cow<'_, [u8]> {
    if out.len() == path.len() { path.into() } else { out.into() }
}
