//! The path prefix of the gate's own endpoints.

/// A path that every server interprets alike: segments of letters, digits, `-` and `_`,
/// such as `/oauth2`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnPrefix(String);

impl OwnPrefix {
    /// Returns `None` for a path that some server might interpret differently.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_plain = |segment: &str| {
            !segment.is_empty()
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        let segments = text.strip_prefix('/')?;
        segments.split('/').all(is_plain).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of `path` after the prefix: empty, or starting with a slash. `None` for
    /// paths that are not below the prefix.
    pub(crate) fn rest_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = path.strip_prefix(self.0.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// Whether a path reading is below the prefix.
    pub(crate) fn covers(&self, path: &[u8]) -> bool {
        let rest = path.strip_prefix(self.0.as_bytes());
        rest.is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_segments_are_below_the_prefix() {
        let prefix = OwnPrefix::parse("/oauth2").unwrap();
        for (path, rest) in [
            ("/oauth2", Some("")),
            ("/oauth2/", Some("/")),
            ("/oauth2/auth/x", Some("/auth/x")),
            ("/oauth2x", None),
            ("/x/oauth2", None),
            ("/", None),
        ] {
            assert_eq!(prefix.rest_of(path), rest, "{path}");
            assert_eq!(prefix.covers(path.as_bytes()), rest.is_some(), "{path}");
        }
        for text in ["", "/", "oauth2", "/a//b", "/a/", "/a.b", "/a%2f", "/a b"] {
            assert!(OwnPrefix::parse(text).is_none(), "{text:?}");
        }
    }
}
