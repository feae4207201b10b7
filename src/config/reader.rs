//! Typed access to values; reports those that are invalid.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::problem::{Origin, Report};
use super::tree::{Node, Place, Value};

/// Upper bound for durations, so that sums cannot overflow.
const MAX_DURATION: Duration = Duration::from_secs(3650 * 24 * 3600);

/// A table; a missing one reads like an empty one.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    key: String,
    node: Option<&'a Node>,
    pub(crate) report: &'a Report,
}

/// A value and its key.
#[derive(Clone)]
pub(crate) struct Field<'a> {
    pub(crate) key: String,
    node: &'a Node,
    report: &'a Report,
}

impl<'a> Table<'a> {
    pub(crate) fn root(node: &'a Node, report: &'a Report) -> Self {
        Self { key: String::new(), node: Some(node), report }
    }

    fn below(&self, name: &str) -> String {
        if self.key.is_empty() { name.to_owned() } else { format!("{}.{name}", self.key) }
    }

    /// The value of `name`, if there is one.
    pub(crate) fn field(&self, name: &str) -> Option<Field<'a>> {
        let node = self.node?.get(name)?;
        Some(Field { key: self.below(name), node, report: self.report })
    }

    /// The table `name`.
    pub(crate) fn table(&self, name: &str) -> Self {
        let node = self.node.and_then(|node| node.get(name));
        Self { key: self.below(name), node, report: self.report }
    }

    /// All entries.
    pub(crate) fn fields(&self) -> Vec<(&'a str, Field<'a>)> {
        let Some(Node { value: Value::Table(entries), .. }) = self.node else { return Vec::new() };
        entries
            .iter()
            .map(|(name, node)| (name.as_str(), Field { key: self.below(name), node, report: self.report }))
            .collect()
    }

    /// The value of `name`; reports its absence with the hint `otherwise`.
    pub(crate) fn required(&self, name: &str, otherwise: &str) -> Option<Field<'a>> {
        let field = self.field(name);
        if field.is_none() {
            self.missing(name, otherwise);
        }
        field
    }

    /// Reports a problem of the whole table.
    pub(crate) fn problem(&self, message: &str) {
        self.report.add(self.node.map_or(&Place::File, |node| &node.place), &self.key, message);
    }

    /// Reports that `name` is missing.
    pub(crate) fn missing(&self, name: &str, otherwise: &str) {
        if self.node.is_some_and(|node| matches!(node.value, Value::Reported)) {
            return;
        }
        let place = self.node.map_or(&Place::File, |node| &node.place);
        self.report.add_missing(place, &self.below(name), otherwise);
    }
}

impl<'a> Field<'a> {
    /// Reports a problem.
    pub(crate) fn problem(&self, message: impl Into<String>) {
        self.report.add(&self.node.place, &self.key, message);
    }

    /// Reports a problem that starts with the value: "5 is not …".
    pub(crate) fn invalid(&self, why: impl Display) {
        self.problem(format!("{} {why}", show(self.node)));
    }

    /// Reports a warning that does not show the value.
    pub(crate) fn warn_plainly(&self, why: impl Display) {
        self.report.warn(&self.node.place, &self.key, why.to_string());
    }

    /// Reports a warning; as with [`Field::invalid`], it starts with the value.
    pub(crate) fn warn(&self, why: impl Display) {
        self.report.warn(&self.node.place, &self.key, format!("{} {why}", show(self.node)));
    }

    /// Whether files that only serving opens are to be checked.
    #[cfg(feature = "proxy")]
    pub(crate) fn opens_files(&self) -> bool {
        self.report.opens_files()
    }

    /// Reads a path; relative ones are based on the configuration file's folder.
    pub(crate) fn path(&self, folder: &Path) -> Option<PathBuf> {
        let path =
            self.parse(|text| if text.is_empty() { Err("is not a path") } else { Ok(folder.join(text)) })?;
        self.report.add_file(&path);
        Some(path)
    }

    /// The origin of the value.
    pub(crate) fn origin(&self) -> Origin {
        self.report.origin(&self.node.place)
    }

    /// The key and line, for messages about other values.
    pub(crate) fn place(&self) -> String {
        match &self.node.place {
            Place::Line(line) => format!("{} (line {line})", self.key),
            Place::Variable(_) | Place::File => self.key.clone(),
        }
    }

    fn is_reported(&self) -> bool {
        matches!(self.node.value, Value::Reported)
    }

    /// Returns `read`; reports a problem if it is `None`.
    fn read<T>(&self, read: Option<T>, why: &str) -> Option<T> {
        if read.is_none() && !self.is_reported() {
            self.invalid(why);
        }
        read
    }

    /// The whole number, if it is one; reports nothing.
    pub(crate) fn as_count(&self) -> Option<usize> {
        if let Value::Integer(count) = self.node.value { usize::try_from(count).ok() } else { None }
    }

    /// The string, if it is one; reports nothing.
    pub(crate) fn as_text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            Value::Integer(_)
            | Value::Boolean(_)
            | Value::Other(_)
            | Value::List(_)
            | Value::Table(_)
            | Value::Reported => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&'a str> {
        self.read(self.as_text(), "is not a string; write it in quotation marks")
    }

    /// Reads a string that must not appear in messages.
    pub(crate) fn secret_text(&self) -> Option<&'a str> {
        let text = self.as_text();
        match text {
            None if !self.is_reported() => self.problem("must be a string in quotation marks"),
            Some("") => self.problem("is empty"),
            Some(_) | None => {}
        }
        text.filter(|text| !text.is_empty())
    }

    /// Reads a string and parses it. The error continues after the value: "… is not a URL".
    pub(crate) fn parse<T, E: Display>(&self, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        match parse(self.text()?) {
            Ok(value) => Some(value),
            Err(error) => {
                self.invalid(error);
                None
            }
        }
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        let flag = if let Value::Boolean(flag) = self.node.value { Some(flag) } else { None };
        self.read(flag, "is not a boolean; write true or false, without quotation marks")
    }

    /// Reads a duration of at least `shortest`.
    pub(crate) fn duration(&self, shortest: Duration) -> Option<Duration> {
        let text = self.as_text();
        let duration = self.read(
            text.and_then(|text| humantime::parse_duration(text.trim()).ok()),
            r#"is not a duration; write it like "15m", "12h" or "7d""#,
        )?;
        if duration < shortest {
            self.invalid(format_args!(
                "is too short; it must be at least {}",
                humantime::format_duration(shortest)
            ));
            return None;
        }
        if duration > MAX_DURATION {
            self.invalid("is too long; it must be at most 3650d");
            return None;
        }
        Some(duration)
    }

    /// Reads a number of bytes.
    pub(crate) fn size(&self) -> Option<u64> {
        let size = match &self.node.value {
            Value::Integer(size) => Some(*size),
            Value::Text(text) => text.trim().parse::<bytesize::ByteSize>().ok().map(|size| size.as_u64()),
            Value::Boolean(_) | Value::Other(_) | Value::List(_) | Value::Table(_) | Value::Reported => None,
        };
        self.read(size, r#"is not a size; write it like "64KiB" or "10MiB""#)
    }

    /// Reads a whole number.
    #[cfg(feature = "proxy")]
    pub(crate) fn count(&self) -> Option<usize> {
        self.read(self.as_count(), "is not a whole number; write it like 10000")
    }

    /// Reads a list.
    pub(crate) fn list(&self) -> Option<Vec<Self>> {
        self.read(self.as_list(), r#"is not a list; write it in brackets, like ["…"]"#)
    }

    /// Reads a list or a single value.
    pub(crate) fn one_or_more(&self) -> Vec<Self> {
        if self.is_reported() {
            return Vec::new();
        }
        self.as_list().unwrap_or_else(|| vec![self.clone()])
    }

    /// The list, if it is one; reports nothing.
    pub(crate) fn as_list(&self) -> Option<Vec<Self>> {
        let Value::List(list) = &self.node.value else { return None };
        let element =
            |(index, node)| Self { key: format!("{}[{index}]", self.key), node, report: self.report };
        Some(list.iter().enumerate().map(element).collect())
    }

    /// The table, if it is one; reports nothing.
    pub(crate) fn as_table(&self) -> Option<Table<'a>> {
        matches!(self.node.value, Value::Table(_)).then(|| Table {
            key: self.key.clone(),
            node: Some(self.node),
            report: self.report,
        })
    }
}

/// Formats a value for messages.
fn show(node: &Node) -> String {
    match &node.value {
        Value::Text(text) => truncate(&redact_password(text)),
        Value::Integer(number) => number.to_string(),
        Value::Boolean(flag) => flag.to_string(),
        Value::Other(text) => text.clone(),
        Value::List(list) if list.is_empty() => "an empty list".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
        Value::Reported => "this".to_owned(),
    }
}

/// Hides the user information of a URL, which may contain a password.
fn redact_password(text: &str) -> String {
    let hide = || {
        let (scheme, rest) = text.split_once("://")?;
        let (_, host) = rest.rsplit_once('@')?;
        Some(format!("{scheme}://…@{host}"))
    };
    hide().unwrap_or_else(|| text.to_owned())
}

fn truncate(text: &str) -> String {
    let mut shown: String = text.chars().take(80).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}
