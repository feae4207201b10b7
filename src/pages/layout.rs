//! The document around every page, and the policy it is sent with.

use super::html::Html;
use super::illustration::{ICON, Illustration};

/// A finished page and the policy it must be sent with.
#[derive(Debug)]
pub(crate) struct Page {
    /// The whole document, `text/html; charset=utf-8`.
    pub(crate) html: String,
    /// The value of `Content-Security-Policy`.
    pub(crate) csp: &'static str,
}

/// The one inline style, word for word: its hash below admits these bytes and
/// no others.
pub(super) const STYLE: &str = include_str!("style.css");

/// SHA-256 of [`STYLE`]; a test says the right value when the style changes.
/// A macro, because `concat!` takes no constants.
macro_rules! style_hash {
    () => {
        "sha256-9QmT3TCAsnb3UF9xjKiIEpGpl31dhFp4JgmLlUccNoI="
    };
}

/// The same for the test that compares it.
#[cfg(test)]
pub(super) const STYLE_HASH: &str = style_hash!();

/// The policy up to its last directive: the style, the icon in the tab, our
/// own form. Nothing else loads, no script runs, no `<base>` moves a link.
///
/// Browsers hold `form-action` against the redirects after a form, too; so
/// whatever leads to the provider is a link and never a form.
macro_rules! policy {
    ($ancestors:literal) => {
        concat!(
            "default-src 'none'; style-src '",
            style_hash!(),
            "'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors ",
            $ancestors
        )
    };
}

/// For pages somebody could be tricked into clicking: never in a frame.
const CSP: &str = policy!("'none'");

/// For [`framed`](super::sign_in_framed) only, which exists to be seen in a frame and whose one
/// button opens a tab.
pub(super) const CSP_FRAMED: &str = policy!("*");

/// The document around a page's own content.
pub(super) fn page(title: &str, illustration: Illustration, main: &Html) -> Page {
    let mut html = Html::default();
    html.add(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<link rel="icon" href=""#,
        &[title],
    );
    html.add(ICON, &[]);
    html.add("\">\n<style>", &[]);
    // Straight in: the hash is of these very bytes, and braces are not places.
    html.literal(STYLE);
    html.add("</style>\n</head>\n<body>\n<main>\n", &[]);
    html.add(illustration.svg(), &[]);
    html.append(main);
    html.add("</main>\n<footer>Sign-in by huggate</footer>\n</body>\n</html>\n", &[]);
    Page { html: html.into_string(), csp: CSP }
}
