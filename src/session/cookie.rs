//! The gate's cookies: names, attributes, chunks.
//!
//! The same function sets and removes a cookie (RFC 6265, section 4.1): a removal must
//! have the same attributes, since a browser ignores the removal of a `__Host-` cookie
//! without `Secure`.

use std::borrow::Cow;

use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use http::header::{COOKIE, HeaderMap, HeaderValue};

use super::cookie_pairs::{find, find_bytes, pairs};

/// The maximum length of one cookie's value. Browsers refuse more than 4096 bytes for
/// name, value and attributes together.
const CHUNK: usize = 3800;
/// The maximum number of cookies for one session: 19 kB of encrypted text.
const MAX_CHUNKS: usize = 5;
/// How many bytes the number of chunks and its dot are looked for in.
const MAX_COUNT: usize = 16;

/// When a browser sends the gate's cookies with cross-site requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SameSitePolicy {
    /// Only with top-level navigations, such as the return from the provider.
    #[default]
    Lax,
    /// Always: for an app in a frame of another site, as in a Space. Adds `Secure` and
    /// `Partitioned`.
    None,
}

/// Names and attributes of the gate's cookies.
#[derive(Debug, Clone)]
pub(crate) struct Cookies {
    pub(super) session: String,
    /// Finds the session cookie's name, which is the prefix of all names.
    pub(super) within: memchr::memmem::Finder<'static>,
    pending: String,
    attempts: String,
    secure: bool,
    same_site: SameSitePolicy,
}

/// The kind of one of the gate's cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CookieKind {
    /// The session, or its first chunk.
    Session,
    /// A further chunk of the session, with any number.
    Chunk,
    /// A pending sign-in.
    Pending,
    /// The number of consecutive sign-ins without a session.
    Attempts,
}

impl Cookies {
    /// With `https` (the public URL's scheme), names start with `__Host-`, which prevents
    /// other hosts of the domain from setting them.
    pub(crate) fn new(name: &str, https: bool, same_site: SameSitePolicy) -> Self {
        let session = if https { format!("__Host-{name}") } else { name.to_owned() };
        Self {
            pending: format!("{session}-pending-"),
            attempts: format!("{session}-attempts"),
            within: memchr::memmem::Finder::new(&session).into_owned(),
            session,
            secure: https || same_site == SameSitePolicy::None,
            same_site,
        }
    }

    pub(crate) fn session_name(&self) -> &str {
        &self.session
    }

    pub(crate) fn attempts_name(&self) -> &str {
        &self.attempts
    }

    /// The cookie name of one pending sign-in.
    pub(crate) fn pending_name(&self, attempt: &str) -> String {
        format!("{}{attempt}", self.pending)
    }

    /// The pending sign-in of a cookie with this name.
    pub(crate) fn pending_attempt<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(self.pending.as_str())
    }

    /// `Set-Cookie` with `value`; with `None`, the removal of the cookie.
    pub(crate) fn set(&self, name: &str, value: Option<&str>, max_age: u64) -> Option<HeaderValue> {
        let seconds = if value.is_some() { i64::try_from(max_age).unwrap_or(i64::MAX) } else { 0 };
        let same_site = match self.same_site {
            SameSitePolicy::Lax => SameSite::Lax,
            SameSitePolicy::None => SameSite::None,
        };
        let mut cookie = Cookie::build((name, value.unwrap_or("")))
            .path("/")
            .http_only(true)
            .secure(self.secure)
            .same_site(same_site)
            .max_age(Duration::seconds(seconds));
        if self.same_site == SameSitePolicy::None {
            cookie = cookie.partitioned(true);
        }
        let mut header = HeaderValue::try_from(cookie.build().to_string()).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// `Set-Cookie` lines for an encrypted session, and the removal of surplus chunks
    /// that `request` still has. Empty if the text is too long.
    pub(crate) fn set_session(&self, sealed: &str, max_age: u64, request: &HeaderMap) -> Vec<HeaderValue> {
        let chunks: Vec<&str> = chunks(sealed).collect();
        if chunks.len() > MAX_CHUNKS {
            tracing::error!(bytes = sealed.len(), "a session is too large for cookies");
            return Vec::new();
        }
        let mut lines = Vec::with_capacity(chunks.len());
        for (index, chunk) in chunks.iter().enumerate() {
            let line = match index {
                0 if chunks.len() == 1 => self.set(&self.session, Some(chunk), max_age),
                0 => self.set(&self.session, Some(&format!("{}.{chunk}", chunks.len())), max_age),
                _ => self.set(&self.chunk_name(index), Some(chunk), max_age),
            };
            lines.extend(line);
        }
        lines.extend(self.remove_chunks(request, chunks.len()));
        lines
    }

    /// Removes the session and every chunk that `request` has.
    pub(crate) fn remove_session(&self, request: &HeaderMap) -> Vec<HeaderValue> {
        let mut lines: Vec<_> = self.set(&self.session, None, 0).into_iter().collect();
        lines.extend(self.remove_chunks(request, 1));
        lines
    }

    fn remove_chunks(&self, request: &HeaderMap, from: usize) -> Vec<HeaderValue> {
        let stale = (from.max(1)..MAX_CHUNKS).map(|index| self.chunk_name(index));
        stale
            .filter(|name| find(request, name).is_some())
            .filter_map(|name| self.set(&name, None, 0))
            .collect()
    }

    fn chunk_name(&self, index: usize) -> String {
        format!("{}-{index}", self.session)
    }

    /// The encrypted session in `headers`, reassembled from its chunks.
    pub(crate) fn session<'a>(&self, headers: &'a HeaderMap) -> Option<Cow<'a, [u8]>> {
        let first = find_bytes(headers, &self.session)?;
        // `3.` precedes the first of three chunks; sealed text has no dot. Only the start is
        // searched, since nearly every session is one long chunk.
        let dot = first.iter().take(MAX_COUNT).position(|byte| *byte == b'.');
        let Some(dot) = dot else { return Some(Cow::Borrowed(first)) };
        let (count, start) = (first.get(..dot)?, first.get(dot + 1..)?);
        let count: usize = std::str::from_utf8(count).ok()?.parse().ok()?;
        if !(2..=MAX_CHUNKS).contains(&count) {
            return None;
        }
        let mut sealed = start.to_owned();
        for index in 1..count {
            sealed.extend_from_slice(find_bytes(headers, &self.chunk_name(index))?);
        }
        Some(Cow::Owned(sealed))
    }

    /// The cookies of all pending sign-ins, as name and value.
    pub(crate) fn pending<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = (&'a str, &'a str)> {
        headers.get_all(COOKIE).iter().flat_map(|header| pairs(header.as_bytes())).filter_map(|pair| {
            let name = std::str::from_utf8(pair.name).ok()?;
            self.pending_attempt(name)?;
            Some((name, std::str::from_utf8(pair.value).ok()?))
        })
    }

    /// The kind of the cookie `name`; `None` for cookies of the app.
    pub(crate) fn classify(&self, name: &[u8]) -> Option<CookieKind> {
        let rest = name.strip_prefix(self.session.as_bytes())?;
        match rest {
            b"" => Some(CookieKind::Session),
            b"-attempts" => Some(CookieKind::Attempts),
            _ if rest.starts_with(b"-pending-") => Some(CookieKind::Pending),
            [b'-', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => Some(CookieKind::Chunk),
            _ => None,
        }
    }

    /// Whether a `Set-Cookie` line of the app sets one of the gate's cookies.
    pub(crate) fn claims(&self, set_cookie: &HeaderValue) -> bool {
        // `=huggate=x` sets a cookie without a name, which browsers send back as
        // `huggate=x`.
        let line = set_cookie.as_bytes();
        let start = line.iter().position(|byte| !matches!(byte, b'=' | b' ' | b'\t')).unwrap_or(line.len());
        let line = line.get(start..).unwrap_or_default();
        let name = line.split(|byte| matches!(byte, b'=' | b';')).next().unwrap_or_default();
        self.classify(name.trim_ascii()).is_some()
    }
}

/// Splits an encrypted text into parts that fit into one cookie each.
fn chunks(sealed: &str) -> impl Iterator<Item = &str> {
    // The text is base64url, so every byte is one character.
    sealed.as_bytes().chunks(CHUNK).filter_map(|chunk| std::str::from_utf8(chunk).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies() -> Cookies {
        Cookies::new("huggate", false, SameSitePolicy::Lax)
    }

    fn request(lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap())).collect()
    }

    /// The request headers of a browser that received these lines.
    fn answer(lines: &[HeaderValue]) -> HeaderMap {
        let pairs: Vec<_> =
            lines.iter().map(|line| line.to_str().unwrap().split(';').next().unwrap()).collect();
        request(&[&pairs.join("; ")])
    }

    #[test]
    fn removal_has_the_attributes_of_the_cookie_it_removes() {
        for (https, same_site, attributes) in [
            (true, SameSitePolicy::Lax, "; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age="),
            (true, SameSitePolicy::None, "; HttpOnly; SameSite=None; Secure; Path=/; Max-Age="),
            (false, SameSitePolicy::Lax, "; HttpOnly; SameSite=Lax; Path=/; Max-Age="),
        ] {
            let cookies = Cookies::new("huggate", https, same_site);
            let name = cookies.session_name().to_owned();
            assert_eq!(name.starts_with("__Host-"), https);
            let set = cookies.set(&name, Some("x"), 60).unwrap();
            let removed = cookies.set(&name, None, 60).unwrap();
            let (set, removed) = (set.to_str().unwrap(), removed.to_str().unwrap());
            assert_eq!(set.replace("=x;", "=;").replace("Max-Age=60", "Max-Age=0"), removed);
            assert!(set.contains("HttpOnly"), "{set}");
            assert_eq!(set.contains("Partitioned"), same_site == SameSitePolicy::None);
            for attribute in attributes.split("; ") {
                assert!(set.contains(attribute), "{set} lacks {attribute}");
            }
        }
    }

    #[test]
    fn a_long_session_is_spread_over_chunks_and_put_together_again() {
        let cookies = cookies();
        for length in [1, CHUNK, CHUNK + 1, CHUNK * MAX_CHUNKS] {
            let sealed = "a".repeat(length - 1) + "z";
            let lines = cookies.set_session(&sealed, 60, &HeaderMap::new());
            assert_eq!(lines.len(), length.div_ceil(CHUNK));
            assert!(lines.iter().all(|line| line.len() < 4096));
            assert_eq!(&*cookies.session(&answer(&lines)).unwrap(), sealed.as_bytes());
        }
        assert!(cookies.set_session(&"a".repeat(CHUNK * MAX_CHUNKS + 1), 60, &HeaderMap::new()).is_empty());
    }

    #[test]
    fn a_shorter_session_removes_the_chunks_of_a_longer_one() {
        let cookies = cookies();
        let long = answer(&cookies.set_session(&"a".repeat(CHUNK * 3), 60, &HeaderMap::new()));
        let lines = cookies.set_session("short", 60, &long);
        let texts: Vec<_> = lines.iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(texts.len(), 3);
        assert!(texts[1].starts_with("huggate-1=;") && texts[1].contains("Max-Age=0"), "{texts:?}");
        assert_eq!(cookies.remove_session(&long).len(), 3);
    }

    #[test]
    fn hostile_cookie_lines_are_parsed_in_bounded_time() {
        let cookies = cookies();
        for line in
            ["", ";", "; ;;;=", "=", "huggate", "huggate=99999999.x", "huggate=3.x; huggate-1=y", "=;=;=;"]
        {
            assert!(cookies.session(&request(&[line])).is_none_or(|found| found.is_empty()), "{line:?}");
        }
        let many = "a=b; ".repeat(10_000) + "huggate=late";
        assert!(cookies.session(&request(&[&many])).is_none());
    }

    #[test]
    fn an_app_cannot_set_the_gates_cookies() {
        let cookies = cookies();
        for (line, ours) in [
            ("huggate=x; Path=/", true),
            (" huggate =x", true),
            ("huggate-1=x", true),
            ("=huggate=x", true),
            (" = huggate=x", true),
            ("huggate", true),
            ("=", false),
            ("huggate-theme=x", false),
            ("session=huggate", false),
        ] {
            assert_eq!(cookies.claims(&HeaderValue::from_str(line).unwrap()), ours, "{line}");
        }
    }
}
