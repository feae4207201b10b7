//! Path patterns: the paths that a route matches.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;

use super::variants::VARIANTS;
use crate::policy::route_index::PathSet;

/// Endings of scripts that servers also run for all paths below the script.
const SCRIPTS: [&[u8]; 7] = [b".php", b".cgi", b".pl", b".asp", b".aspx", b".ashx", b".cfm"];

/// A set of paths. Case and a trailing slash are significant, as on most servers. Some
/// servers ignore them: a request that such a server would resolve to a non-public route
/// is therefore refused, unless the route that matches exactly is decided alike.
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
    pub(crate) path: Box<[u8]>,
    /// `/**`: the folder and everything below it.
    pub(crate) below: bool,
}

/// Why a text is not a path pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// There is no leading slash.
    #[error("must start with a slash")]
    Relative,
    /// There is a `*` outside a final `/**`.
    #[error("`*` can only stand in a final `/**`, which matches a folder and everything below it")]
    Star,
    /// Dot segments, `//`, `;`, `\`, `?` or `#`.
    #[error(
        "cannot match: requests for such a path are refused or resolved to another path (it contains {0:?})"
    )]
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
        if (below && decoded.ends_with(b"/")) || VARIANTS.iter().any(|read| *read(&decoded) != *decoded) {
            return Err(PatternError::Unmatchable("what some servers read as another path".to_owned()));
        }
        Ok(Self { path: decoded.into(), below })
    }

    /// The pattern as a less exact server applies it, folded: case and a trailing slash
    /// are ignored, and a script also handles the paths below it (`/admin.php/x`).
    pub(crate) fn folded(&self) -> Self {
        let path = folded(&self.path, &mut []);
        let below = self.below || SCRIPTS.iter().any(|ending| path.ends_with(ending));
        Self { path: path.into(), below }
    }

    pub(crate) fn paths(&self) -> PathSet<'_> {
        if self.below { PathSet::Folder(&self.path) } else { PathSet::Exact(&self.path) }
    }
}

impl TryFrom<&str> for PathPattern {
    type Error = PatternError;

    fn try_from(text: &str) -> Result<Self, PatternError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for PathPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        Self::parse(&text)
    }
}

impl From<Infallible> for PatternError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "/**" } else { "" };
        write!(f, "{}{below}", String::from_utf8_lossy(&self.path))
    }
}

/// Converts a path to lower case and removes a trailing slash; uses `room` as the buffer,
/// if it is large enough.
pub(crate) fn folded<'a>(path: &'a [u8], room: &'a mut [u8]) -> Cow<'a, [u8]> {
    if is_folded(path) {
        return path.into();
    }
    let path = path.strip_suffix(b"/").filter(|rest| !rest.is_empty()).unwrap_or(path);
    match (std::str::from_utf8(path), room.get_mut(..path.len())) {
        (Ok(text), _) if !text.is_ascii() => text.to_lowercase().into_bytes().into(),
        (_, Some(room)) => {
            room.copy_from_slice(path);
            room.make_ascii_lowercase();
            Cow::Borrowed(room)
        }
        (_, None) => path.to_ascii_lowercase().into(),
    }
}

/// Whether folding changes nothing, as with nearly all paths.
pub(crate) fn is_folded(path: &[u8]) -> bool {
    let slash_at_end = path.len() > 1 && path.ends_with(b"/");
    !slash_at_end && !path.iter().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_a_plain_path_allocates_nothing() {
        for path in ["/", "/a/b", "/A/b", "/a/", "/A/"] {
            assert!(matches!(folded(path.as_bytes(), &mut [0; 8]), Cow::Borrowed(_)), "{path}");
        }
        assert_eq!(&*folded(b"/A/", &mut []), b"/a");
        assert_eq!(&*folded("/CAF\u{c9}/".as_bytes(), &mut [0; 8]), "/café".as_bytes());
    }

    #[test]
    fn a_pattern_that_cannot_match_is_rejected() {
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
