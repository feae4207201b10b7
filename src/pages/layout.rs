//! The layout of every page, and its content security policy.

use super::html::Html;
use super::illustration::{ICON, Illustration};

/// A rendered page and its content security policy.
#[derive(Debug)]
pub(crate) struct Page {
    /// The HTML document (`text/html; charset=utf-8`).
    pub(crate) html: String,
    /// The value of `Content-Security-Policy`.
    pub(crate) csp: &'static str,
}

/// The inline style sheet; the policy allows it by its hash.
pub(super) const STYLE: &str = include_str!("style.css");

/// SHA-256 of [`STYLE`]; a test prints the new value when the style changes. A macro, because
/// `concat!` accepts no constants.
macro_rules! style_hash {
    () => {
        "sha256-9QmT3TCAsnb3UF9xjKiIEpGpl31dhFp4JgmLlUccNoI="
    };
}

/// The same as a constant, for that test.
#[cfg(test)]
pub(super) const STYLE_HASH: &str = style_hash!();

/// The policy without its last value. It allows the style sheet, the favicon and our own form;
/// it blocks scripts, other resources and `<base>`.
///
/// Browsers apply `form-action` to redirects after a form as well; therefore the way to the
/// provider is a link, never a form.
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

/// For all pages that could be used for clickjacking: no framing.
const CSP: &str = policy!("'none'");

/// For [`sign_in_framed`](super::sign_in_framed) only, which is made to be shown in a frame and
/// whose button opens a tab.
pub(super) const CSP_FRAMED: &str = policy!("*");

/// Renders the document around a page's content.
pub(super) fn page(title: &str, illustration: Illustration, main: &Html) -> Page {
    document(title, illustration, main, &Html::default())
}

/// The same for a page that opens `url` at once.
pub(super) fn page_going_on(title: &str, illustration: Illustration, main: &Html, url: &str) -> Page {
    let mut refresh = Html::default();
    refresh.add("<meta http-equiv=\"refresh\" content=\"0; url={}\">\n", &[url]);
    document(title, illustration, main, &refresh)
}

fn document(title: &str, illustration: Illustration, main: &Html, refresh: &Html) -> Page {
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
"#,
        &[title],
    );
    html.append(refresh);
    html.add("<link rel=\"icon\" href=\"", &[]);
    html.add(ICON, &[]);
    html.add("\">\n<style>", &[]);
    // Unchanged: the hash is that of these bytes.
    html.literal(STYLE);
    html.add("</style>\n</head>\n<body>\n<main>\n", &[]);
    html.add(illustration.svg(), &[]);
    html.append(main);
    html.add("</main>\n<footer>Sign-in by huggate</footer>\n</body>\n</html>\n", &[]);
    Page { html: html.into_string(), csp: CSP }
}
