//! Building HTML with escaped values.

/// HTML under construction.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Appends `template` with each `{}` replaced by the next of `values`, escaped. A value in
    /// `href` or `action` must also pass [`address`].
    pub(super) fn add(&mut self, template: &'static str, values: &[&str]) -> &mut Self {
        debug_assert_eq!(template.matches("{}").count(), values.len(), "a value for every place: {template}");
        let mut values = values.iter();
        let mut parts = template.split("{}").peekable();
        while let Some(part) = parts.next() {
            self.0.push_str(part);
            if parts.peek().is_some()
                && let Some(value) = values.next()
            {
                let is_address =
                    ["href=\"", "action=\"", "; url="].iter().any(|before| part.ends_with(before));
                escape(if is_address { address(value) } else { value }, &mut self.0);
            }
        }
        self
    }

    /// Appends a literal unchanged; unlike in a template, `{}` is no placeholder.
    pub(super) fn literal(&mut self, literal: &'static str) -> &mut Self {
        self.0.push_str(literal);
        self
    }

    /// Appends the content of another [`Html`].
    pub(super) fn append(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// Returns the HTML.
    pub(super) fn into_string(self) -> String {
        self.0
    }

    /// Appends one `<li>` for each of `sentences`.
    pub(super) fn list<T: AsRef<str>>(&mut self, sentences: &[T]) -> &mut Self {
        self.add("<ul>\n", &[]);
        for sentence in sentences {
            self.add("<li>{}</li>\n", &[sentence.as_ref()]);
        }
        self.add("</ul>\n", &[])
    }
}

/// Escapes `text` for use between tags and in quoted attributes, as the gate does in its own
/// pages. In an address, as in `href`, check the scheme as well if the text is not the gate's.
///
/// ```
/// assert_eq!(huggate::escape_html("<b title='x'>&"), "&lt;b title=&#39;x&#39;&gt;&amp;");
/// ```
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    escape(text, &mut escaped);
    escaped
}

/// Escapes `text` for use between tags and in quoted attributes.
pub(super) fn escape(text: &str, into: &mut String) {
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

/// `url` if it is safe in a link: a local path, or http or https; otherwise `/`.
///
/// Callers validate their URLs. This is a second check, so that a mistake there becomes a wrong
/// link, not a script or an open redirect.
pub(super) fn address(url: &str) -> &str {
    let local = url.starts_with('/') && !url.starts_with("//") && !url.starts_with("/\\");
    let full = url.starts_with("https://") || url.starts_with("http://");
    if (local || full) && !url.chars().any(char::is_control) { url } else { "/" }
}
