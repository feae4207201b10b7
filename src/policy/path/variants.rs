//! The ways servers read a path, each a plain function from path to path.
//!
//! None of them is what we do with one. Each is what some server does before it
//! looks for what was asked, in an order of its own; `path` puts them together.

use std::borrow::Cow;

use memchr::memchr;
use memchr::memmem;

/// One way to read a path; borrowed where it makes no difference.
type Way = fn(&[u8]) -> Cow<'_, [u8]>;

/// The ways servers are known to read a path.
pub(crate) const VARIANTS: [Way; 18] = [
    |path| unescaped(path, |_| true),
    // ASP.NET Core and Undertow keep `%2f` as a letter; Apache does so if told to.
    |path| unescaped(path, |byte| byte != b'/'),
    // To the URL parser of browsers and Node `%2e%2e` is a dot segment, and all else
    // stays as it is (URL Standard, section 4.4).
    |path| unescaped(path, |byte| byte == b'.'),
    unescaped_utf16,
    slashed,
    merged,
    // The parameters of a segment, or of the whole path (Jetty 9.2).
    without_parameters,
    |path| before(path, |byte| byte == b';').into(),
    resolved,
    // C strings end at NUL; a server that decodes before it looks for the query
    // ends the path at `%3f` or `%23` (Apache CVE-2024-38474), one that writes it
    // into a request of its own at the end of the line.
    |path| before(path, |byte| matches!(byte, 0 | b'?' | b'#' | b'\r' | b'\n')).into(),
    // Windows does not see dots and spaces at the end of a name; frameworks do not
    // see white space there (Flask, Spring, Express).
    |path| segments(path, |segment| trimmed(segment, |c| matches!(c, '.' | ' '))),
    |path| segments(path, |segment| trimmed(segment, is_white)),
    without_streams,
    // Parsers of URLs drop tabs and ends of lines wherever they are (URL Standard,
    // section 4.4; Python's `urlsplit`), Jetty dropped NUL (CVE-2021-34429).
    |path| without(path, |byte| matches!(byte, b'\t' | b'\r' | b'\n')),
    |path| without(path, |byte| byte == 0),
    without_authority,
    // As ASP.NET takes it out, and as IIS does before that (CVE-2023-36899).
    |path| without_session(path, b"/"),
    |path| without_session(path, b""),
];

/// With the escapes decoded that have no other form (RFC 3986, section 2.2):
/// `/caf%C3%A9` is how `/café` is written, also to a server that decodes nothing.
/// None of these bytes takes a path apart.
pub(crate) fn spelled_out(path: &[u8]) -> Cow<'_, [u8]> {
    unescaped(path, |byte| {
        matches!(byte, 0x80..|b' '| b'"' | b'<' | b'>' | b'[' | b']' | b'^' | b'`' | b'{' | b'|' | b'}')
    })
}

/// Percent-decoded once, but for what `which` leaves out.
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

/// With `%u002f` decoded, as HTTP.sys and IIS have it, and Jetty had
/// (CVE-2021-34429).
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

/// With `\` as `/`.
fn slashed(path: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'\\', path).is_none() {
        return path.into();
    }
    path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect()
}

/// With runs of slashes as one.
fn merged(path: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(path, b"//").is_none() {
        return path.into();
    }
    let mut out = path.to_vec();
    out.dedup_by(|byte, before| *byte == b'/' && *before == b'/');
    out.into()
}

/// With each segment as it is before its first `;`.
fn without_parameters(path: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b';', path).is_none() {
        return path.into();
    }
    segments(path, |segment| before(segment, |byte| byte == b';'))
}

/// With dot segments resolved (RFC 3986, section 5.2.4).
fn resolved(path: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(path, b"/.").is_none() {
        return path.into();
    }
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut parts = path.split(|byte| *byte == b'/').peekable();
    // What precedes the first slash is nothing.
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

/// Without the bytes that are `unseen`.
fn without(path: &[u8], unseen: impl Fn(u8) -> bool) -> Cow<'_, [u8]> {
    if !path.iter().any(|byte| unseen(*byte)) {
        return path.into();
    }
    path.iter().copied().filter(|byte| !unseen(*byte)).collect()
}

/// Without a host at the start: `//a/b` is `/b` at a host `a`, if it is taken for
/// a reference (RFC 3986, section 4.2), as by `new URL(request.url, base)`.
fn without_authority(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.starts_with(b"//") {
        return path.into();
    }
    let host = path.iter().position(|byte| *byte != b'/').unwrap_or(path.len());
    let rest = path.get(host..).unwrap_or_default();
    memchr(b'/', rest).and_then(|end| rest.get(end..)).unwrap_or(b"/").into()
}

/// Without the segments, or starts of one, that hold the session of an ASP.NET
/// app that uses no cookies, `/(S(x))`, and with `between` in their place.
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

/// Where `/(A(x)S(y))` ends, if `path` starts so.
fn session_end(path: &[u8]) -> Option<usize> {
    let mut end = 2;
    path.strip_prefix(b"/(")?;
    while let [b'A'..=b'Z' | b'a'..=b'z', b'(', rest @ ..] = path.get(end..)? {
        end += 3 + rest.iter().take_while(|byte| **byte != b'/').position(|byte| *byte == b')')?;
    }
    (end > 2 && path.get(end) == Some(&b')')).then_some(end + 1)
}

/// Each segment through `change`.
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

/// Without the streams at the end of segments: to NTFS `admin::$INDEX_ALLOCATION`
/// and `admin:$I30:$INDEX_ALLOCATION` are `admin`.
fn without_streams(path: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(path, b":$").is_none() {
        return path.into();
    }
    segments(path, |segment| match (memchr(b':', segment), memmem::rfind(segment, b":$")) {
        (Some(name), Some(kind)) if name < kind => segment.get(..name).unwrap_or_default(),
        _ => segment,
    })
}

/// Without the characters at the end that are `unseen`; `.` and `..` stay.
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

/// The last character and what comes before it, in UTF-8 or else in Latin-1.
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

/// What comes before the first byte that is `end`.
fn before(path: &[u8], end: impl Fn(u8) -> bool) -> &[u8] {
    path.split(|byte| end(*byte)).next().unwrap_or_default()
}

/// `out`, if anything of `path` was left out.
fn shorter(path: &[u8], out: Vec<u8>) -> Cow<'_, [u8]> {
    if out.len() == path.len() { path.into() } else { out.into() }
}
