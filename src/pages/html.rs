//! HTML under construction, and the escaping of what is put into it.

/// HTML under construction.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Appends `template`, each `{}` in it replaced by the next of `values`,
    /// escaped; a value that becomes a link's address must also be one that
    /// [`address`] lets through.
    pub(super) fn add(&mut self, template: &'static str, values: &[&str]) -> &mut Self {
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

    /// Appends `literal` as it is; braces in it, as in a style sheet, are no places.
    pub(super) fn literal(&mut self, literal: &'static str) -> &mut Self {
        self.0.push_str(literal);
        self
    }

    /// Appends what another [`Html`] holds.
    pub(super) fn append(&mut self, other: &Self) -> &mut Self {
        self.0.push_str(&other.0);
        self
    }

    /// The HTML.
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

/// `text` as it may stand between tags and inside a quoted attribute.
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

/// `url` if it leads somewhere a link of ours may lead, else the app's root.
///
/// Callers hand in addresses they have judged; this is the second look, so
/// that a slip there is a wrong link and not a script or another site.
pub(super) fn address(url: &str) -> &str {
    let local = url.starts_with('/') && !url.starts_with("//") && !url.starts_with("/\\");
    let full = url.starts_with("https://") || url.starts_with("http://");
    if (local || full) && !url.chars().any(char::is_control) { url } else { "/" }
}
