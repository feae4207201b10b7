//! Rewrites the `Cookie` lines for the app: without the gate's cookies, and with the
//! assertion in place of the session.

use std::sync::OnceLock;

use http::header::HeaderValue;

use super::cookie::{CookieKind, Cookies};
use super::cookie_pairs::all_pairs;

/// The replacement for the session cookie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replacement<'a> {
    pub(crate) value: &'a str,
    /// The cookie with this value as a complete line; created on first use.
    pub(crate) line: &'a OnceLock<HeaderValue>,
}

/// The result of rewriting a `Cookie` line.
pub(crate) enum RewrittenLine {
    Unchanged,
    Removed,
    Line(HeaderValue),
}

fn push(out: &mut Vec<u8>, pair: &[u8]) {
    if !out.is_empty() {
        out.extend_from_slice(b"; ");
    }
    out.extend_from_slice(pair);
}

impl Cookies {
    /// Rewrites one `Cookie` line: the gate's cookies are removed, and `replacement` is
    /// inserted at the position of the session cookie.
    pub(crate) fn rewritten(&self, line: &[u8], replacement: Option<Replacement<'_>>) -> RewrittenLine {
        // Fast paths: most lines are the session alone, or do not contain the name.
        let alone = self.is_session_alone(line);
        let default = || self.within_default.as_ref().is_some_and(|name| name.find(line).is_some());
        if !alone && self.within.find(line).is_none() && !default() {
            return RewrittenLine::Unchanged;
        }
        if let Some(replacement) = replacement.filter(|_| alone) {
            let whole = || sensitive(format!("{}={}", self.session, replacement.value).into_bytes());
            let line = replacement.line.get_or_init(|| whole().unwrap_or(HeaderValue::from_static("")));
            return if line.is_empty() { RewrittenLine::Removed } else { RewrittenLine::Line(line.clone()) };
        }
        let mut out = Vec::with_capacity(line.len() + replacement.map_or(0, |new| new.value.len()));
        let mut ours = false;
        for pair in all_pairs(line) {
            match (self.classify(pair.name), replacement) {
                (None, _) => push(&mut out, line.get(pair.span).unwrap_or_default()),
                (Some(CookieKind::Session), Some(replacement)) => {
                    ours = true;
                    push(&mut out, self.session.as_bytes());
                    out.push(b'=');
                    out.extend_from_slice(replacement.value.as_bytes());
                }
                (Some(_), _) => ours = true,
            }
        }
        if !ours {
            return RewrittenLine::Unchanged;
        }
        if out.is_empty() {
            return RewrittenLine::Removed;
        }
        sensitive(out).map_or(RewrittenLine::Removed, RewrittenLine::Line)
    }

    /// Whether a line consists of one session cookie.
    fn is_session_alone(&self, line: &[u8]) -> bool {
        let rest = line.trim_ascii_start().strip_prefix(self.session.as_bytes());
        rest.is_some_and(|rest| rest.first() == Some(&b'=') && memchr::memchr(b';', rest).is_none())
    }
}

/// A line that is marked as sensitive, so that it is not logged.
fn sensitive(line: Vec<u8>) -> Option<HeaderValue> {
    let mut line = HeaderValue::from_maybe_shared(bytes::Bytes::from(line)).ok()?;
    line.set_sensitive(true);
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::cookie::SameSitePolicy;

    /// The rest of a line after rewriting.
    fn left(cookies: &Cookies, line: &str, replacement: Option<Replacement<'_>>) -> String {
        match cookies.rewritten(line.as_bytes(), replacement) {
            RewrittenLine::Unchanged => line.to_owned(),
            RewrittenLine::Removed => String::new(),
            RewrittenLine::Line(line) => line.to_str().unwrap().to_owned(),
        }
    }

    #[test]
    fn the_gates_cookies_are_removed_and_others_keep_their_order() {
        let cookies = Cookies::new("huggate", false, SameSitePolicy::Lax);
        let line = "a=1; huggate=2.sealed; theme=dark; huggate-1=more; huggate-99999999=x; \
                    huggate-pending-ab=s; huggate-attempts=1; huggate_x=app; huggate-theme=app; b=\"2\"";
        let slot = OnceLock::new();
        let jwt = Some(Replacement { value: "jwt", line: &slot });
        let with = left(&cookies, line, jwt);
        assert_eq!(with, "a=1; huggate=jwt; theme=dark; huggate_x=app; huggate-theme=app; b=\"2\"");
        let without = left(&cookies, line, None);
        assert_eq!(without, "a=1; theme=dark; huggate_x=app; huggate-theme=app; b=\"2\"");
        let late = format!("{}huggate=sealed; c=d", "a=b; ".repeat(1_024));
        assert_eq!(left(&cookies, &late, None), "a=b; ".repeat(1_024) + "c=d");
        for (line, alone, expected) in [
            ("huggate=sealed", None, ""),
            ("huggate=sealed", jwt, "huggate=jwt"),
            (" huggate=sealed ", jwt, "huggate=jwt"),
            ("x=1", jwt, "x=1"),
            ("huggate-1=x", jwt, ""),
            ("huggatee=x", jwt, "huggatee=x"),
        ] {
            assert_eq!(left(&cookies, line, alone), expected, "{line}");
        }
    }
}
