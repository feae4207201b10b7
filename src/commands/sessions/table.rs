//! Sessions as a table or as JSON, a line at a time.

use serde_json::Value;

/// Prints sessions.
pub(super) struct Printer {
    json: bool,
    lines: u64,
}

impl Printer {
    pub(super) fn new(json: bool) -> Self {
        Self { json, lines: 0 }
    }

    pub(super) fn head(&self) -> String {
        if self.json {
            return "[".to_owned();
        }
        row(["ID", "USER", "SIGNED IN", "LAST USED", "EXPIRES", "ADDRESS", "BROWSER"])
    }

    /// A session, as the admin listener describes it.
    pub(super) fn line(&mut self, session: &Value) -> String {
        self.lines += 1;
        if self.json {
            let separator = if self.lines == 1 { "" } else { "," };
            return format!("{separator}\n  {session}");
        }
        let text = |name: &str| match session.get(name) {
            Some(Value::String(text)) if !text.is_empty() => printable(text),
            _ => "-".to_owned(),
        };
        let fields = ["id", "username", "created", "last_used", "expires", "client", "user_agent"].map(text);
        row(fields.each_ref().map(String::as_str))
    }

    pub(super) fn end(&self) -> String {
        match (self.json, self.lines) {
            (true, 0) => "]\n".to_owned(),
            (true, _) => "\n]\n".to_owned(),
            (false, _) => String::new(),
        }
    }
}

fn row([id, user, began, used, expires, address, browser]: [&str; 7]) -> String {
    format!("{id:<22}  {user:<20}  {began:<20}  {used:<20}  {expires:<20}  {address:<15}  {browser}\n")
}

/// A client chose it: nothing in it may control a terminal, or change the order in which it
/// shows a line.
fn printable(text: &str) -> String {
    let is_shown = |c: char| matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1;
    text.chars().map(|c| if is_shown(c) { c } else { '\u{fffd}' }).collect()
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn nothing_controls_the_terminal() {
        assert_eq!(printable("Größe \"x\" \\ 'y' 名"), "Größe \"x\" \\ 'y' 名");
        for text in ["a\u{1b}b", "a\nb", "a\u{9b}b", "a\u{202e}b", "a\u{2066}b", "a\u{2028}b", "a\u{200b}b"] {
            assert_eq!(printable(text), "a\u{fffd}b", "{text:?}");
        }
    }
}
