//! Text from outside in log lines: without tokens, e-mail addresses and control characters,
//! and not longer than a line should be.

use std::borrow::Cow;

/// How many characters of a text are logged.
const LONGEST: usize = 1_024;
const TOKEN: &str = "[token]";
const EMAIL: &str = "[email]";

/// `text` as it is logged. Tokens of Hugging Face, JSON Web Tokens and e-mail addresses are
/// replaced, control characters and the like are escaped, and what is too long is cut. Almost
/// every text is returned as it is.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    if is_harmless(text) {
        return Cow::Borrowed(text);
    }
    let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
    let (mut rest, cut) = text.split_at(end);
    let mut out = String::with_capacity(rest.len());
    while !rest.is_empty() {
        let word = rest.find(is_separator).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word);
        match replacement(word) {
            Some(replacement) => out.push_str(replacement),
            None => escape(word, &mut out),
        }
        let separator = after.chars().next().map_or(0, char::len_utf8);
        let (separator, after) = after.split_at(separator);
        escape(separator, &mut out);
        rest = after;
    }
    if !cut.is_empty() {
        out.push('…');
    }
    Cow::Owned(out)
}

/// Whether it needs no change, as far as that is seen at a glance.
fn is_harmless(text: &str) -> bool {
    text.len() <= LONGEST
        && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'@' | b'%' | b'\\'))
        && !text.contains("hf_")
        && !text.contains("eyJ")
}

/// What ends a word in paths, lists and sentences. Dots are part of tokens and addresses.
fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || matches!(
            character,
            '/' | '?' | '&' | '=' | ',' | ';' | ':' | '"' | '\'' | '(' | ')' | '<' | '>' | '[' | ']' | '|'
        )
}

/// What is logged in place of a word that is a secret, or may be.
fn replacement(word: &str) -> Option<&'static str> {
    if word.contains("hf_") || word.contains("eyJ") {
        return Some(TOKEN);
    }
    // Also as browsers encode it in an address.
    let mut signs = word.match_indices('@').chain(word.match_indices("%40"));
    signs.any(|(at, sign)| at > 0 && at + sign.len() < word.len()).then_some(EMAIL)
}

/// Adds `text`, with escapes for what could look like the end of a line or change how it is
/// displayed.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '"' | '\'' => out.push(character),
            _ => out.extend(character.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_is_borrowed() {
        for text in ["", "/a/b-c_d.e~f", "app.example.com:8443", "GET", "The token is expired.", "/A/B+C"] {
            assert!(matches!(masked(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn tokens_and_addresses_are_replaced() {
        for (text, expected) in [
            ("/users/ada@example.com/x", "/users/[email]/x"),
            ("/users/ada%40example.com", "/users/[email]"),
            ("ask <ada@example.com>, or ben@example.com.", "ask <[email]>, or [email]"),
            ("/api/hf_abcDEF123/x", "/api/[token]/x"),
            ("hf_oauth_eyJhbGciOi.J9.x", "[token]"),
            ("id=eyJhbGciOiJSUzI1NiJ9.e30.sig;", "id=[token];"),
            ("/@ada@example.com", "/[email]"),
            ("/@ada%40example.com", "/[email]"),
            ("/@scope/package", "/@scope/package"),
            ("/100%25/x", "/100%25/x"),
        ] {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn nothing_ends_a_line_or_changes_the_display() {
        assert_eq!(masked("a\r\nb\tc\u{1b}[31m\u{7f}\0"), "a\\r\\nb\\tc\\u{1b}[31m\\u{7f}\\0");
        assert_eq!(masked("a\u{2028}b\u{202e}c\\n"), "a\\u{2028}b\\u{202e}c\\\\n");
        assert_eq!(masked("/größe/\"x\""), "/größe/\"x\"");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        for text in ["x".repeat(20_000), "ü".repeat(20_000), "x/".repeat(20_000), "a@b/".repeat(20_000)] {
            let masked = masked(&text);
            assert!(masked.ends_with('…') && masked.len() < 10_000, "{}", masked.len());
        }
        let whole = "é".repeat(LONGEST);
        assert_eq!(masked(&whole), whole);
    }
}
