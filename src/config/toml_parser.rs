//! Parses TOML to a [`Node`] with the line of each value, and formats syntax errors.

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::problem::{Problem, Problems};
use super::schema;
use super::tree::{Node, Place, Value};

/// A file as far as it could be parsed, and every syntax error in it.
pub(crate) struct Parsed {
    /// Values with a syntax error are [`Value::Reported`].
    pub(crate) root: Node,
    pub(crate) errors: Vec<Problem>,
}

/// Parses a file.
pub(crate) fn parse(text: &str, file: &str) -> Result<Node, Problems> {
    let Parsed { root, errors } = parse_all(text, file);
    match errors.into_iter().next() {
        Some(first) => Err(Problems::one(file, first.message)),
        None => Ok(root),
    }
}

/// Parses a file; continues after a syntax error.
pub(crate) fn parse_all(text: &str, file: &str) -> Parsed {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut errors: Vec<(usize, String)> = errors
        .iter()
        .map(|error| (error.span().map_or(0, |span| span.start), error.message().to_owned()))
        .collect();
    errors.sort_by_key(|(offset, _)| *offset);
    errors.dedup_by_key(|(offset, _)| *offset);
    let broken = Broken::new(text, table.get_ref(), &errors);
    let place = |offset| Place::Line(line_of(text, offset).0);
    let reading = Reading { place: &place, broken: Some(&broken) };
    // Missing top-level keys have no line.
    let root = Node { value: reading.entries(table.get_ref()), place: Place::File };
    let problem = |(offset, message): &(usize, String)| Problem {
        source: file.to_owned(),
        line: None,
        key: String::new(),
        message: syntax(text, message, *offset),
    };
    let first_of_each = errors.iter().filter(|(offset, _)| broken.begins_at(*offset));
    Parsed { root, errors: first_of_each.map(problem).collect() }
}

/// The parts of a file that a syntax error makes unreliable: the line of the error, and the
/// whole value that it is in. What the parser reads there may be the rest of a secret.
struct Broken {
    /// Byte ranges with both ends included, in order; each begins with an error.
    ranges: Vec<Range>,
}

struct Range {
    error: usize,
    start: usize,
    end: usize,
}

impl Broken {
    fn new(text: &str, table: &DeTable<'_>, errors: &[(usize, String)]) -> Self {
        let mut values = Vec::new();
        outermost_values(table, &mut values);
        let mut ranges: Vec<Range> = Vec::new();
        for (error, _) in errors {
            if ranges.iter().any(|range| (range.start..=range.end).contains(error)) {
                // It follows from the first one.
                continue;
            }
            let line = line_around(text, *error);
            let mut range = Range { error: *error, start: line.start, end: line.end };
            for value in values.iter().filter(|value| value.start <= *error && *error <= value.end) {
                range.start = range.start.min(value.start);
                range.end = range.end.max(line_around(text, value.end).end);
            }
            ranges.push(range);
        }
        Self { ranges }
    }

    /// Whether `offset` is the first error of a part.
    fn begins_at(&self, offset: usize) -> bool {
        self.ranges.iter().any(|range| range.error == offset)
    }

    fn touches(&self, span: &std::ops::Range<usize>) -> bool {
        self.ranges.iter().any(|range| span.start <= range.end && range.start <= span.end)
    }
}

/// The spans of the values of all keys; the table of a `[header]` has only the header as span.
fn outermost_values(table: &DeTable<'_>, spans: &mut Vec<std::ops::Range<usize>>) {
    for value in table.values() {
        spans.push(value.span());
        match value.get_ref() {
            DeValue::Table(table) => outermost_values(table, spans),
            DeValue::Array(list) => {
                for value in list {
                    if let DeValue::Table(table) = value.get_ref() {
                        outermost_values(table, spans);
                    }
                }
            }
            _ => {}
        }
    }
}

fn line_around(text: &str, offset: usize) -> std::ops::Range<usize> {
    let (before, after) = text.split_at_checked(offset).unwrap_or((text, ""));
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    start..after.find('\n').map_or(text.len(), |newline| offset + newline)
}

/// Parses a single value, as in a variable.
pub(crate) fn parse_value(text: &str, place: &Place) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(Reading { place: &|_| place.clone(), broken: None }.node(&value))
}

/// How parsed values become [`Node`]s.
struct Reading<'a> {
    /// The place for an offset.
    place: &'a dyn Fn(usize) -> Place,
    broken: Option<&'a Broken>,
}

impl Reading<'_> {
    fn is_broken(&self, span: &std::ops::Range<usize>) -> bool {
        self.broken.is_some_and(|broken| broken.touches(span))
    }

    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let read = match value.get_ref() {
            _ if self.is_broken(&value.span()) => Value::Reported,
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Integer(number) => match u64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Other(number.to_string()),
            },
            DeValue::Float(number) => Value::Other(number.to_string()),
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Datetime(date) => Value::Other(date.to_string()),
            DeValue::Array(list) => Value::List(list.iter().map(|value| self.node(value)).collect()),
            DeValue::Table(table) => self.entries(table),
        };
        Node { value: read, place: (self.place)(value.span().start) }
    }

    fn entries(&self, table: &DeTable<'_>) -> Value {
        let entry = |(name, value): (&Spanned<DeString<'_>>, &Spanned<DeValue<'_>>)| {
            let mut node = self.node(value);
            if self.is_broken(&name.span()) {
                node.value = Value::Reported;
            }
            (name.get_ref().clone().into_owned(), node)
        };
        Value::Table(table.iter().map(entry).collect())
    }
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
