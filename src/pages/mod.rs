//! What the gate itself shows people: small pages without script that load
//! nothing from anywhere.
//!
//! Data in, HTML out: no function here reads a request, a clock or a setting.
//! Every value passes [`escape`] on its way into a page, because the only way
//! to put one there is [`Html::add`], whose templates are literals.

mod broken;
mod face;
mod refused;
mod sign_in;
mod signed_out;
#[cfg(any(feature = "proxy", test))]
mod upstream;

pub(crate) use broken::{bad_request, internal, not_found, provider_unavailable};
pub(crate) use refused::{Demanded, HowToBeSeen, Refused, refused};
pub(crate) use sign_in::{
    SignInFailed, cancelled, form_not_sent, framed, loop_explained, sign_in, sign_in_failed,
    sign_in_not_begun_here,
};
pub(crate) use signed_out::{Onward, confirm_sign_out, signed_out};
#[cfg(any(feature = "proxy", test))]
pub(crate) use upstream::{incomplete, too_large, upstream_busy, upstream_down, upstream_slow};

use face::Face;

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
const STYLE: &str = include_str!("style.css");

/// SHA-256 of [`STYLE`]; a test says the right value when the style changes.
/// A macro, because `concat!` takes no constants.
macro_rules! style_hash {
    () => {
        "sha256-9QmT3TCAsnb3UF9xjKiIEpGpl31dhFp4JgmLlUccNoI="
    };
}

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
const ALONE: &str = policy!("'none'");

/// For [`framed`] only, which exists to be seen in a frame and whose one
/// button opens a tab.
const IN_A_FRAME: &str = policy!("*");

/// The document around a page's own content.
fn shell(title: &str, face: Face, main: &Html) -> Page {
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
    html.add(face::ICON, &[]);
    html.add("\">\n<style>", &[]);
    // Straight in: the hash is of these very bytes, and braces are not places.
    html.0.push_str(STYLE);
    html.add("</style>\n</head>\n<body>\n<main>\n", &[]);
    html.add(face.drawing(), &[]);
    html.0.push_str(&main.0);
    html.add("</main>\n<footer>Sign-in by huggate</footer>\n</body>\n</html>\n", &[]);
    Page { html: html.0, csp: ALONE }
}

/// HTML under construction.
#[derive(Debug, Default)]
struct Html(String);

impl Html {
    /// Appends `template`, each `{}` in it replaced by the next of `values`,
    /// escaped; a value that becomes a link's address must also be one that
    /// [`address`] lets through.
    fn add(&mut self, template: &'static str, values: &[&str]) -> &mut Self {
        debug_assert_eq!(template.matches("{}").count(), values.len(), "a value for every place: {template}");
        let mut values = values.iter();
        let mut parts = template.split("{}").peekable();
        while let Some(part) = parts.next() {
            self.0.push_str(part);
            if parts.peek().is_some()
                && let Some(value) = values.next()
            {
                let is_address = part.ends_with("href=\"") || part.ends_with("action=\"");
                escape(if is_address { address(value) } else { value }, &mut self.0);
            }
        }
        self
    }

    /// Appends one `<li>` for each of `sentences`.
    fn list<T: AsRef<str>>(&mut self, sentences: &[T]) -> &mut Self {
        self.add("<ul>\n", &[]);
        for sentence in sentences {
            self.add("<li>{}</li>\n", &[sentence.as_ref()]);
        }
        self.add("</ul>\n", &[])
    }
}

/// `text` as it may stand between tags and inside a quoted attribute.
fn escape(text: &str, into: &mut String) {
    for character in text.chars() {
        match character {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            // Includes NUL, which HTML forbids even as a reference.
            control if control.is_control() => into.push('\u{fffd}'),
            plain => into.push(plain),
        }
    }
}

/// `url` if it leads somewhere a link of ours may lead, else the app's root.
///
/// Callers hand in addresses they have judged; this is the second look, so
/// that a slip there is a wrong link and not a script or another site.
fn address(url: &str) -> &str {
    let local = url.starts_with('/') && !url.starts_with("//") && !url.starts_with("/\\");
    let full = url.starts_with("https://") || url.starts_with("http://");
    if (local || full) && !url.chars().any(char::is_control) { url } else { "/" }
}

// Last, so that the macros above reach it.
#[cfg(test)]
mod tests;
