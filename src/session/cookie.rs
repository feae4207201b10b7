//! The gate's cookies: names, attributes, chunks.
//!
//! The same function sets and removes a cookie (RFC 6265, section 4.1): a removal must
//! have the same attributes, since a browser ignores the removal of a `__Host-` cookie
//! without `Secure`.

use std::borrow::Cow;

use http::header::{COOKIE, HeaderMap, HeaderValue};

use super::cookie_pairs::{find, find_bytes, pairs};
use crate::client::PublicUrl;

/// The maximum length of one cookie's value. Servers in front accept 4096 bytes for the
/// whole head of an answer (nginx' `proxy_buffer_size`), and an answer has other fields.
const CHUNK: usize = 3000;
/// The maximum number of cookies for one session. With every other cookie of ours, it
/// stays below the 8 kB that servers accept for a `Cookie` line.
const MAX_CHUNKS: usize = 2;
/// The maximum length of an encrypted session in one cookie.
pub(super) const MAX_SEALED_ALONE: usize = CHUNK;
/// The maximum length of an encrypted session.
pub(super) const MAX_SEALED: usize = CHUNK * MAX_CHUNKS;
/// The number of chunks that a removal looks for; versions before 0.2 had up to five.
const MAX_REMOVED: usize = 5;
/// The prefix of a cookie that only its own host can set (RFC 6265bis, section 4.1.3.2).
const HOST_PREFIX: &str = "__Host-";
/// How many bytes the number of chunks and its dot are looked for in.
const MAX_COUNT: usize = 16;

/// The cookie's name where the public URL has no port.
pub(super) const DEFAULT_COOKIE_NAME: &str = "huggate";

/// The cookie's name where none is set. Browsers send a host's cookies to all its ports
/// (RFC 6265, section 8.5), so a port of the public URL is part of the name: two gates on
/// one host would replace each other's sessions otherwise.
pub(crate) fn default_cookie_name(public_url: &PublicUrl) -> String {
    match public_url.port() {
        Some(port) => format!("{DEFAULT_COOKIE_NAME}-{port}"),
        None => DEFAULT_COOKIE_NAME.to_owned(),
    }
}

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
    /// Finds a text that all names of this gate's cookies contain.
    pub(super) within: memchr::memmem::Finder<'static>,
    /// Finds the default name, if the names of this gate's cookies do not contain it.
    pub(super) within_default: Option<memchr::memmem::Finder<'static>>,
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
    /// The browser's binding of sign-ins under way.
    Pending,
    /// The number of consecutive sign-ins without a session.
    Attempts,
    /// A cookie of another gate on this host, with a default name. The browser sends it
    /// to every port. The app may neither read it nor set it: it is a session elsewhere.
    OtherGate,
}

impl Cookies {
    /// With `https` (the public URL's scheme), names start with `__Host-`, which prevents
    /// other hosts of the domain from setting them.
    pub(crate) fn new(name: &str, https: bool, same_site: SameSitePolicy) -> Self {
        let session = if https { format!("{HOST_PREFIX}{name}") } else { name.to_owned() };
        let is_default = session.contains(DEFAULT_COOKIE_NAME);
        Self {
            pending: format!("{session}-pending-"),
            attempts: format!("{session}-attempts"),
            within: memchr::memmem::Finder::new(if is_default { DEFAULT_COOKIE_NAME } else { &session })
                .into_owned(),
            within_default: (!is_default)
                .then(|| memchr::memmem::Finder::new(DEFAULT_COOKIE_NAME).into_owned()),
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

    /// The name of the cookie that binds sign-ins under way to a browser. `id` tells it
    /// from others that the same browser got at the same moment.
    pub(crate) fn pending_name(&self, id: &str) -> String {
        format!("{}{id}", self.pending)
    }

    /// `Set-Cookie` with `value`; with `None`, the removal of the cookie.
    pub(crate) fn set(&self, name: &str, value: Option<&str>, max_age: u64) -> Option<HeaderValue> {
        let max_age = if value.is_some() { max_age } else { 0 };
        // A partitioned cookie must be secure.
        let policy = match (self.same_site, self.secure) {
            (SameSitePolicy::Lax, false) => "Lax",
            (SameSitePolicy::Lax, true) => "Lax; Secure",
            (SameSitePolicy::None, _) => "None; Partitioned; Secure",
        };
        let value = value.unwrap_or_default();
        let line = format!("{name}={value}; HttpOnly; SameSite={policy}; Path=/; Max-Age={max_age}");
        let mut header = HeaderValue::try_from(line).ok()?;
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

    /// Removes the chunks that only versions before 0.2 set. A sign-in does so where it
    /// begins: beside the new session there is no room for it.
    pub(crate) fn remove_former_chunks(&self, request: &HeaderMap) -> Vec<HeaderValue> {
        self.remove_chunks(request, MAX_CHUNKS)
    }

    fn remove_chunks(&self, request: &HeaderMap, from: usize) -> Vec<HeaderValue> {
        let stale = (from.max(1)..MAX_REMOVED).map(|index| self.chunk_name(index));
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
        let dot = memchr::memchr(b'.', first.get(..MAX_COUNT).unwrap_or(first));
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

    /// The cookies of sign-ins under way, as id and value.
    pub(crate) fn pending<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = (&'a str, &'a str)> {
        headers.get_all(COOKIE).iter().flat_map(|header| pairs(header.as_bytes())).filter_map(|pair| {
            let id = std::str::from_utf8(pair.name).ok()?.strip_prefix(self.pending.as_str())?;
            Some((id, std::str::from_utf8(pair.value).ok()?))
        })
    }

    /// The kind of the cookie `name`; `None` for cookies of the app.
    pub(crate) fn classify(&self, name: &[u8]) -> Option<CookieKind> {
        let own = name.strip_prefix(self.session.as_bytes()).and_then(|rest| match rest {
            b"" => Some(CookieKind::Session),
            b"-attempts" => Some(CookieKind::Attempts),
            _ if rest.starts_with(b"-pending-") => Some(CookieKind::Pending),
            [b'-', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => Some(CookieKind::Chunk),
            _ => None,
        });
        own.or_else(|| is_of_some_gate(name).then_some(CookieKind::OtherGate))
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

/// Whether a cookie's name is one that a gate with a default name uses: with or without a
/// port, of a session, a chunk, a sign-in under way or the counter.
fn is_of_some_gate(name: &[u8]) -> bool {
    let name = name.strip_prefix(HOST_PREFIX.as_bytes()).unwrap_or(name);
    let Some(mut rest) = name.strip_prefix(DEFAULT_COOKIE_NAME.as_bytes()) else { return false };
    // A port, and the number of a chunk.
    for _ in 0..2 {
        let Some(digits) = rest.strip_prefix(b"-") else { break };
        let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
        if end == 0 {
            break;
        }
        rest = digits.get(end..).unwrap_or_default();
    }
    rest.is_empty() || rest == b"-attempts" || rest.starts_with(b"-pending-")
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
        // Versions before 0.2 had up to five chunks.
        let pairs: Vec<String> = (1..MAX_REMOVED).map(|index| format!("huggate-{index}=a")).collect();
        let long = request(&[&format!("huggate=5.a; {}", pairs.join("; "))]);
        let lines = cookies.set_session("short", 60, &long);
        let texts: Vec<_> = lines.iter().map(|line| line.to_str().unwrap()).collect();
        assert_eq!(texts.len(), MAX_REMOVED);
        assert!(texts[1].starts_with("huggate-1=;") && texts[1].contains("Max-Age=0"), "{texts:?}");
        assert_eq!(cookies.remove_session(&long).len(), MAX_REMOVED);
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
            ("huggate-8443=x", true),
            ("__Host-huggate-8443=x", true),
            ("huggate-8443-1=x", true),
            ("huggate-8443-pending-a=x", true),
            ("huggate-8443-attempts=x", true),
            ("huggate-8443-theme=x", false),
            ("huggate8443=x", false),
        ] {
            assert_eq!(cookies.claims(&HeaderValue::from_str(line).unwrap()), ours, "{line}");
        }
    }
}
