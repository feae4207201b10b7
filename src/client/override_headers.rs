//! Headers that make some apps change the method or path of a request. They would bypass
//! a route's rules.

use http::header::HeaderName;

/// Folded names of headers that change the method in some frameworks.
const METHOD: [&[u8]; 3] = [b"xhttpmethodoverride", b"xhttpmethod", b"xmethodoverride"];

/// Folded names of headers that some apps use as the path or as a part of it: the first
/// two by Symfony, Zend and IIS, the last three by Gunicorn. A trusted proxy may pass on
/// what a client sends under names that it does not know, so they are removed from every
/// request.
const PATH: [&[u8]; 5] = [b"xoriginalurl", b"xrewriteurl", b"xscriptname", b"scriptname", b"pathinfo"];
/// Path headers that proxies write: they are kept if the peer is a trusted proxy.
const PATH_BY_PROXIES: [&[u8]; 4] =
    [b"xoriginaluri", b"xforwardeduri", b"xforwardedpath", b"xforwardedprefix"];

/// Which overrides matter: those of request properties that some route depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OverrideHeaders {
    pub(crate) method: bool,
    pub(crate) path: bool,
}

impl OverrideHeaders {
    /// Whether a header is removed, in any spelling that app servers fold together.
    pub(crate) fn covers(self, name: &str, trusted: bool) -> bool {
        // The first letter excludes nearly every header.
        if !matches!(name.bytes().find(u8::is_ascii_alphanumeric), Some(b'x' | b's' | b'p')) {
            return false;
        }
        (self.method && is_one_of(name, &METHOD))
            || (self.path && (is_one_of(name, &PATH) || (!trusted && is_one_of(name, &PATH_BY_PROXIES))))
    }

    /// Whether a header of a forward-auth request changes the method of the original
    /// request.
    pub(crate) fn changes_method(self, name: &HeaderName) -> bool {
        self.method && is_one_of(name.as_str(), &METHOD)
    }

    /// Whether it changes the path, and is not part of the forward-auth contract.
    pub(crate) fn changes_path(self, name: &HeaderName) -> bool {
        self.path && *name != "x-original-url" && is_one_of(name.as_str(), &PATH)
    }
}

fn is_one_of(name: &str, known: &[&[u8]]) -> bool {
    known.iter().any(|known| folds_to(name, known))
}

/// Whether a server that folds names treats `name` as `known`: only letters and digits
/// are compared, ignoring case.
fn folds_to(name: &str, known: &[u8]) -> bool {
    let letters = name.bytes().filter(u8::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase());
    letters.eq(known.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_is_recognised_in_every_spelling_if_routes_depend_on_it() {
        let all = OverrideHeaders { method: true, path: true };
        let none = OverrideHeaders { method: false, path: false };
        for (name, stranger, trusted) in [
            ("x-http-method-override", true, true),
            ("x_http_method", true, true),
            ("x-method-override", true, true),
            ("x-original-url", true, true),
            ("x.rewrite.url", true, true),
            ("script-name", true, true),
            ("path_info", true, true),
            ("x-forwarded-prefix", true, false),
            ("x-original-uri", true, false),
            ("x-original-urls", false, false),
            ("accept", false, false),
        ] {
            assert_eq!(all.covers(name, false), stranger, "{name}");
            assert_eq!(all.covers(name, true), trusted, "{name}");
            assert!(!none.covers(name, false), "{name}");
        }
    }
}
