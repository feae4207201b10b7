//! Parses TOML to a [`Node`] with the line of each value, and formats syntax errors.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::schema;
use super::tree::{Node, Place, Value};

/// Parses a file.
pub(crate) fn parse(text: &str, file: &str) -> Result<Node, Problems> {
    let table = DeTable::parse(text).map_err(|error| {
        Problems::one(file, syntax(text, error.message(), error.span().map_or(0, |span| span.start)))
    })?;
    let place = |offset| Place::Line(line_of(text, offset).0);
    // Missing top-level keys have no line.
    Ok(Node { value: entries(table.get_ref(), &place), place: Place::File })
}

/// Parses a single value, as in a variable.
pub(crate) fn parse_value(text: &str, place: &Place) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(node(&value, &|_| place.clone()))
}

fn node(value: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> Place) -> Node {
    let read = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => match u64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other(number.to_string()),
        },
        DeValue::Float(number) => Value::Other(number.to_string()),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(date) => Value::Other(date.to_string()),
        DeValue::Array(list) => Value::List(list.iter().map(|value| node(value, place)).collect()),
        DeValue::Table(table) => entries(table, place),
    };
    Node { value: read, place: place(value.span().start) }
}

fn entries(table: &DeTable<'_>, place: &dyn Fn(usize) -> Place) -> Value {
    Value::Table(
        table.iter().map(|(name, value)| (name.get_ref().clone().into_owned(), node(value, place))).collect(),
    )
}

/// Line and column of an offset, starting at 1.
fn line_of(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(start..).unwrap_or_default().chars().count();
    (before.matches('\n').count() + 1, column + 1)
}

/// The parser's message with the line and a caret. The line is left out if it may contain a
/// secret: a secret with a missing quotation mark is a common cause.
fn syntax(text: &str, message: &str, offset: usize) -> String {
    let (line, column) = line_of(text, offset);
    let lines: Vec<&str> = text.lines().collect();
    let shown = lines.get(line - 1).copied().unwrap_or_default().trim_end();
    // The statement starts at the last line with a known key or table.
    let statement = lines.iter().take(line).rev().find(|line| begins_statement(line));
    // An unknown key may be a misspelt secret.
    let known = !shown.contains('=') || begins_statement(shown);
    let harmless = known && statement.is_some_and(|begin| !mentions_secret(begin)) && !mentions_secret(shown);
    if !harmless {
        return format!("not TOML at line {line}, column {column}: {message}");
    }
    let gutter = " ".repeat(line.to_string().len());
    let caret = " ".repeat(column - 1);
    format!(
        "not TOML at line {line}, column {column}: {message}\n{gutter} |\n{line} | {shown}\n{gutter} | {caret}^"
    )
}

fn begins_statement(line: &str) -> bool {
    let line = line.trim_start();
    let bare = |byte: char| byte.is_ascii_alphanumeric() || matches!(byte, '_' | '-' | '.');
    match line.strip_prefix('[') {
        Some(header) => {
            schema::knows(header.trim_matches(['[', ']', ' ']).split(']').next().unwrap_or_default())
        }
        None => {
            let key = line.split(|c| !bare(c)).next().unwrap_or_default();
            line.contains('=') && schema::knows(key)
        }
    }
}

fn mentions_secret(line: &str) -> bool {
    line.to_ascii_lowercase().contains("secret")
}
