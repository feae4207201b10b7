//! The readings of a path: how different servers interpret it.
//!
//! A route table protects an app only if the gate and the server behind it agree on what
//! a path means. That server may decode `%2e`, merge `//`, treat `\` as `/` or drop
//! `;parameters`. So a path is evaluated under every reading and passes only if all of
//! them lead to the same decision. The path is forwarded unchanged.

use super::variants::{VARIANTS, spelled_out};

/// A path with more readings than this is refused.
const MAX_READINGS: usize = 64;
/// So is a path whose readings take more bytes than this in total: every variant is
/// applied to each reading again, and any client can send 64 KiB of dots and slashes.
const MAX_READ: usize = 256 * 1024;

/// The readings of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PathReadings {
    /// Exactly as written: no server interprets it differently.
    Plain,
    /// Each of these. The first is the path as it was sent, except that characters which
    /// must be escaped in a URL are decoded.
    Several(Vec<Vec<u8>>),
}

/// A path with too many readings, or with an invalid one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AmbiguousPath;

/// The readings of `path`. A path of plain characters costs one pass over it.
pub(crate) fn readings(path: &str) -> Result<PathReadings, AmbiguousPath> {
    if is_plain(path.as_bytes()) {
        return Ok(PathReadings::Plain);
    }
    let mut found: Vec<Vec<u8>> = vec![spelled_out(path.as_bytes()).into_owned()];
    let mut next = 0;
    while let Some(reading) = found.get(next) {
        if has_overlong(reading) {
            return Err(AmbiguousPath);
        }
        for read in VARIANTS {
            let Some(reading) = found.get(next) else { break };
            let other = read(reading);
            if !found.iter().any(|earlier| **earlier == *other) {
                let other = other.into_owned();
                found.push(other);
            }
        }
        next += 1;
        if found.len() > MAX_READINGS || found.iter().map(Vec::len).sum::<usize>() > MAX_READ {
            return Err(AmbiguousPath);
        }
    }
    Ok(PathReadings::Several(found))
}

/// Whether a character is encoded in more bytes than needed, such as `/` as `c0 af` or
/// `e0 80 af` (RFC 3629, section 10). Only incorrect decoders accept this.
fn has_overlong(path: &[u8]) -> bool {
    let overlong =
        |pair: &[u8]| matches!(pair, [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f] | [0xf8..=0xfd, 0x80..=0xbf]);
    path.iter().any(|byte| matches!(byte, 0xc0 | 0xc1)) || path.windows(2).any(overlong)
}

/// Whether a path has only letters, digits and marks that all servers treat alike, in
/// segments that are neither empty nor end in a dot. `/(` and `:$` are excluded: they
/// have a special meaning for IIS and NTFS.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    for &byte in path {
        let fine = match byte {
            b'/' => before != b'/' && before != b'.',
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => true,
            b'(' => before != b'/',
            b'$' => before != b':',
            _ => matches!(
                byte,
                b'-' | b'.'
                    | b'_'
                    | b'~'
                    | b'!'
                    | b'&'
                    | b'\''
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reads_as(path: &str, reading: &str) -> bool {
        match readings(path) {
            Ok(PathReadings::Plain) => path == reading,
            Ok(PathReadings::Several(found)) => found.iter().any(|found| found == reading.as_bytes()),
            Err(AmbiguousPath) => false,
        }
    }

    #[test]
    fn plain_paths_have_one_reading() {
        for path in
            ["/", "/a", "/a/b.txt", "/gradio_api/file=/tmp/x.png", "/@user/a+b:c", "/a/", "/.well-known/x"]
        {
            assert_eq!(readings(path), Ok(PathReadings::Plain), "{path}");
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
            "/;x/admin",
            "/public;%2f/../admin",
            "/public;/../..%3b/admin",
            "/admin;/public/x",
            "/%u0061dmin",
            "/public/%u002e%u002E/admin",
            "/public/%u002e%2e%u002fadmin",
            "/public/..%00/admin",
            "/ad%00min",
            "/ad%0Amin",
            "/admin%0a/x",
            "/admin%0d%0aHost:",
            "//host/admin",
            "///host/admin",
            "/%5chost/admin",
            "/admin%e3%80%80",
            "/admin%ef%bb%bf",
            "/admin%a0%a0%a0%a0%a0",
            "/admin::$INDEX_ALLOCATION",
            "/admin:$I30:$INDEX_ALLOCATION/",
            "/(S(x))/admin",
            "/(A(x)F(y))admin",
            "/ad/(S(x))min",
        ] {
            assert!(reads_as(path, "/admin") || reads_as(path, "/admin/"), "{path}");
        }
    }

    #[test]
    fn an_encoded_slash_is_a_separator_or_a_literal_character() {
        // For a server that does not decode it, `..` removes one segment less.
        for path in ["/public/x%2fy/../../admin", "/public/x%2Fy/%2e%2e/%2E%2e/admin"] {
            assert!(reads_as(path, "/admin") && reads_as(path, "/public/admin"), "{path}");
        }
        assert!(reads_as("/a/%2e%2e/%61", "/%61"), "URL parsers decode only dots");
        assert!(reads_as("/org%2fname", "/org/name") && reads_as("/org%2fname", "/org%2fname"));
    }

    #[test]
    fn an_escape_that_has_no_unescaped_form_adds_no_reading() {
        for (path, reading) in [("/caf%C3%A9", "/café"), ("/my%20files/%7Bx%7D", "/my files/{x}")] {
            assert_eq!(
                readings(path),
                Ok(PathReadings::Several(vec![reading.as_bytes().to_vec()])),
                "{path}"
            );
        }
        assert!(reads_as("/caf%25C3%25A9", "/caf%C3%A9") && reads_as("/caf%25C3%25A9", "/café"));
    }

    #[test]
    fn an_overlong_encoding_is_ambiguous() {
        for slash in ["%c0%af", "%C1%9C", "%e0%80%af", "%f0%80%80%af", "%f8%80%80%80%af", "%25c0%25af"] {
            assert_eq!(readings(&format!("/public/..{slash}admin")), Err(AmbiguousPath), "{slash}");
        }
        assert!(readings("/%e0%a0%80%f0%9f%98%80").is_ok(), "these are characters");
    }

    #[test]
    fn a_path_with_too_many_readings_is_ambiguous() {
        let nest = |depth: usize| format!("/%{}41", "25".repeat(depth));
        assert!(matches!(readings(&nest(20)), Ok(PathReadings::Several(found)) if found.len() == 22));
        for path in [nest(70), nest(30_000), format!("/{}%2541", "x".repeat(200_000))] {
            assert!(readings(&path).is_err(), "{}", path.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn a_plain_path_is_changed_by_no_variant(path in "/[a-cS%0-9./;%\\\\_=~:$()u#-]{0,24}") {
            if readings(&path) == Ok(PathReadings::Plain) {
                for read in VARIANTS {
                    proptest::prop_assert_eq!(&*read(path.as_bytes()), path.as_bytes());
                }
            }
        }
    }
}
