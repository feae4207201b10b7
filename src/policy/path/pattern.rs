//! Which paths a route is for.

use std::borrow::Cow;
use std::fmt;

use super::variants::VARIANTS;
use crate::policy::route_index::PathSet;

/// How the names of scripts end that are run for all paths below them too.
const SCRIPTS: [&[u8]; 7] = [b".php", b".cgi", b".pl", b".asp", b".aspx", b".ashx", b".cfm"];

/// A set of paths. Case matters, as it does to most servers, and so does a slash
/// at the end. But there are servers that see neither: so where nothing else
/// keeps a path from a route that is not public, requests for it are refused.
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
    /// `/**`: the folder and all below it.
    pub(crate) below: bool,
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
        if (below && decoded.ends_with(b"/")) || VARIANTS.iter().any(|read| *read(&decoded) != *decoded) {
            return Err(PatternError::Unmatchable("what some servers read as another path".to_owned()));
        }
        Ok(Self { path: decoded.into(), below })
    }

    /// What a less exact server takes for these paths, folded: it sees neither case
    /// nor a slash at the end, and runs the script on the way (`/admin.php/x`).
    pub(crate) fn folded(&self) -> Self {
        let path = folded(&self.path, &mut []);
        let below = self.below || SCRIPTS.iter().any(|ending| path.ends_with(ending));
        Self { path: path.into(), below }
    }

    pub(crate) fn paths(&self) -> PathSet<'_> {
        if self.below { PathSet::Folder(&self.path) } else { PathSet::Exact(&self.path) }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.below { "/**" } else { "" };
        write!(f, "{}{below}", String::from_utf8_lossy(&self.path))
    }
}

/// In lower case and without a slash at the end; in `room`, if there is enough.
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

/// Whether there is nothing to fold, as in nearly all paths.
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
