//! The readings of a path: what different servers would make of it.
//!
//! A route table protects an app only as far as it agrees with the server behind
//! it on what a path means. That server may decode `%2e`, merge `//`, take `\`
//! for `/` or drop `;parameters`. So a path is judged under every reading, and
//! passes only if all are decided alike; what passes is sent on as it came.

/// A path with more readings than this is not worth reading.
const MAX_READINGS: usize = 64;
/// Nor is one whose readings are longer than this together, in bytes: each is
/// read in every way again, and anybody may send 64 KiB of dots and slashes.
const MAX_READ: usize = 256 * 1024;

/// What a path may mean.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Readings {
    /// Just what it says: no server reads it otherwise.
    Plain,
    /// Each of these; the first is the path as it was sent, but for what no URL
    /// can hold unencoded.
    Several(Vec<Vec<u8>>),
}

/// A path with too many readings, or with one that no server should make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The readings of `path`. A path of plain characters costs one look at each.
pub(super) fn readings(path: &str) -> Result<Readings, Unreadable> {
    if is_plain(path.as_bytes()) {
        return Ok(Readings::Plain);
    }
    let mut found: Vec<Vec<u8>> = vec![spelled_out(path.as_bytes())];
    let mut next = 0;
    while let Some(reading) = found.get(next).cloned() {
        next += 1;
        for read in WAYS {
            let other = read(&reading);
            // An overlong encoding of `/` or `.` (RFC 3629, section 10).
            if other.iter().any(|byte| matches!(byte, 0xc0 | 0xc1)) {
                return Err(Unreadable);
            }
            if !found.contains(&other) {
                found.push(other);
            }
        }
        if found.len() > MAX_READINGS || found.iter().map(Vec::len).sum::<usize>() > MAX_READ {
            return Err(Unreadable);
        }
    }
    Ok(Readings::Several(found))
}

/// Letters, digits and the marks that mean the same to everybody, in segments
/// that are neither empty nor end in a dot.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    for &byte in path {
        let fine = match byte {
            b'/' => before != b'/' && before != b'.',
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => true,
            _ => matches!(
                byte,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'!'
                    | b'$'
                    | b'&'
                    | b'\''
                    | b'('
                    | b')'
                    | b'*'
                    | b'+'
                    | b','
                    | b'='
                    | b':'
                    | b'@'
            ),
        };
        if !fine {
            return false;
        }
        before = byte;
    }
    before != b'.' && path.first() == Some(&b'/')
}

/// One way to read a path.
type Way = fn(&[u8]) -> Vec<u8>;

/// The ways servers are known to read a path, each applied to the results of all.
const WAYS: [Way; 7] = [
    decoded,
    |path| path.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect(),
    merged,
    |path| segments(path, |segment| segment.split(|byte| *byte == b';').next().unwrap_or_default()),
    resolved,
    // C strings end at NUL; a server that decodes before it looks for the query
    // ends the path at `%3f` or `%23` (Apache CVE-2024-38474).
    |path| path.split(|byte| matches!(byte, 0 | b'?' | b'#')).next().unwrap_or_default().to_vec(),
    |path| segments(path, trimmed),
];

/// With the escapes decoded that have no other form (RFC 3986, section 2.2):
/// `/caf%C3%A9` is how `/café` is written, also to a server that decodes nothing.
/// None of these bytes takes a path apart.
fn spelled_out(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        let escape = rest.get(..3).filter(|_| *byte == b'%');
        match escape.and_then(|escape| percent_encoding::percent_decode(escape).next()) {
            Some(
                decoded @ (0x80..
                | b' '
                | b'"'
                | b'<'
                | b'>'
                | b'['
                | b']'
                | b'^'
                | b'`'
                | b'{'
                | b'|'
                | b'}'),
            ) => {
                out.push(decoded);
                rest = rest.get(3..).unwrap_or_default();
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    out
}

/// Percent-decoded once.
fn decoded(path: &[u8]) -> Vec<u8> {
    percent_encoding::percent_decode(path).collect()
}

/// With runs of slashes as one.
fn merged(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for &byte in path {
        if byte != b'/' || out.last() != Some(&b'/') {
            out.push(byte);
        }
    }
    out
}

/// With dot segments resolved (RFC 3986, section 5.2.4).
fn resolved(path: &[u8]) -> Vec<u8> {
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
    out
}

/// Each segment through `change`.
fn segments(path: &[u8], change: impl Fn(&[u8]) -> &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        out.extend_from_slice(change(segment));
    }
    out
}

/// Without dots and spaces at the end, which some file systems do not see, nor
/// what else frameworks trim: control characters (Flask, Spring), U+0085 and
/// U+00A0 (Express), in either encoding.
fn trimmed(segment: &[u8]) -> &[u8] {
    let mut rest = segment;
    while let [before @ .., last] = rest {
        if matches!(rest, b"." | b"..") {
            break;
        }
        match (before, last) {
            ([before @ .., 0xc2], 0x85 | 0xa0) | (before, ..=b' ' | b'.' | 0x7f | 0x85 | 0xa0) => {
                rest = before
            }
            _ => break,
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads_as(path: &str, reading: &str) -> bool {
        match readings(path) {
            Ok(Readings::Plain) => path == reading,
            Ok(Readings::Several(found)) => found.iter().any(|found| found == reading.as_bytes()),
            Err(Unreadable) => false,
        }
    }

    #[test]
    fn plain_paths_have_one_reading() {
        for path in
            ["/", "/a", "/a/b.txt", "/gradio_api/file=/tmp/x.png", "/@user/a+b:c", "/a/", "/.well-known/x"]
        {
            assert_eq!(readings(path), Ok(Readings::Plain), "{path}");
        }
    }

    #[test]
    fn every_known_spelling_of_admin_reads_as_admin() {
        for path in [
            "/public/../admin",
            "/public/%2e%2e/admin",
            "/public/%2E%2e%2fadmin",
            "/public/..%2fadmin",
            "/public/%252e%252e%252fadmin",
            "/public/..;/admin",
            "/public/..;x=1/admin",
            "//admin",
            "/public//../admin",
            "/public\\..\\admin",
            "/public/..%5cadmin",
            "/%61dmin",
            "/admin;x",
            "/admin%00.png",
            "/admin.",
            "/admin%20",
            "/admin%09",
            "/admin%0a.",
            "/admin%a0",
            "/admin%c2%a0",
            "/admin%3fx",
            "/admin%23x",
            "/./admin",
            "/.%2e/admin",
            "/admin/.",
        ] {
            assert!(reads_as(path, "/admin") || reads_as(path, "/admin/"), "{path}");
        }
    }

    #[test]
    fn an_escape_that_has_no_other_form_is_no_second_reading() {
        for (path, reading) in [("/caf%C3%A9", "/café"), ("/my%20files/%7Bx%7D", "/my files/{x}")] {
            assert_eq!(readings(path), Ok(Readings::Several(vec![reading.as_bytes().to_vec()])), "{path}");
        }
        assert!(reads_as("/caf%25C3%25A9", "/caf%C3%A9") && reads_as("/caf%25C3%25A9", "/café"));
    }

    #[test]
    fn nests_and_overlong_encodings_are_not_read() {
        let nested = format!("/{}41", "%25".repeat(200).replace("%25%25", "%2525"));
        assert_eq!(readings("/%c0%af"), Err(Unreadable));
        assert_eq!(readings("/%c0%ae%c0%ae/admin"), Err(Unreadable));
        // Bounded, whatever comes of it.
        let _ = readings(&nested);
        let _ = readings(&"/..;%2e//".repeat(500));
    }

    proptest::proptest! {
        #[test]
        fn what_is_called_plain_is_changed_by_no_way_of_reading(path in "/[a-zA-Z0-9./;%\\\\_=~-]{0,24}") {
            if readings(&path) == Ok(Readings::Plain) {
                for read in WAYS {
                    proptest::prop_assert_eq!(read(path.as_bytes()), path.as_bytes());
                }
            }
        }
    }
}
