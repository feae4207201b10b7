//! Which paths a route is for.

use std::fmt;

use super::index::Paths;
use super::ways::WAYS;

/// A set of paths. Case matters, as it does to most servers.
///
/// ```
/// use huggate::PathPattern;
///
/// assert!(PathPattern::parse("/assets/**").is_ok());
/// assert!(PathPattern::parse("/assets*").is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    /// The path, or the folder without its final slash; percent-decoded.
    pub(super) path: Box<[u8]>,
    /// `/**`: the folder and all below it.
    pub(super) below: bool,
}

/// Why a text is no path pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// No slash at the start.
    #[error("must start with a slash")]
    Relative,
    /// A `*` somewhere else than in a final `/**`.
    #[error("`*` can only stand in a final `/**`, which means a folder and all below it")]
    Star,
    /// Dot segments, `//`, `;`, `\`, `?` or `#`.
    #[error("cannot match: such a path is refused or read as another ({0:?} is in it)")]
    Unmatchable(String),
}

impl PathPattern {
    /// Reads `/exact/path` or `/folder/**`.
    ///
    /// # Errors
    /// See [`PatternError`].
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if !text.starts_with('/') {
            return Err(PatternError::Relative);
        }
        let (path, below) = match text.strip_suffix("/**") {
            Some(folder) => (folder, true),
            None => (text, false),
        };
        if path.contains('*') {
            return Err(PatternError::Star);
        }
        let decoded: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
        for bad in ["//", ";", "\\", "?", "#", "%", "\0"] {
            if decoded.windows(bad.len()).any(|window| window == bad.as_bytes()) {
                return Err(PatternError::Unmatchable(bad.to_owned()));
            }
        }
        if decoded
            .split(|byte| *byte == b'/')
            .any(|segment| segment.ends_with(b".") || segment.ends_with(b" "))
        {
            return Err(PatternError::Unmatchable("a segment that ends in a dot or a space".to_owned()));
        }
        if (below && decoded.ends_with(b"/")) || WAYS.iter().any(|read| *read(&decoded) != *decoded) {
            return Err(PatternError::Unmatchable("what some servers read as another path".to_owned()));
        }
        Ok(Self { path: decoded.into(), below })
    }

    pub(super) fn paths(&self) -> Paths<'_> {
        if self.below { Paths::Folder(&self.path) } else { Paths::Exact(&self.path) }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "/**" } else { "" };
        write!(f, "{}{below}", String::from_utf8_lossy(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_cannot_match_is_refused() {
        for text in [
            "admin",
            "/a*",
            "/*/b",
            "/a/**/b",
            "/a//b",
            "/a/../b",
            "/a;b",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a%2525",
            "/a./b",
            "/a//**",
            "/a%0ab",
            "/a::$DATA",
            "/(S(x))/b",
            "/a%a0",
        ] {
            assert!(PathPattern::parse(text).is_err(), "{text}");
        }
        assert_eq!(PathPattern::parse("/caf%C3%A9"), PathPattern::parse("/café"));
    }
}
