//! The configuration as a tree in which every value has a place.
//!
//! It differs from the parser's tree because values also come from the environment; their place
//! is the variable instead of a line.

use std::collections::BTreeMap;

/// The place of a value.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// This line of the file.
    Line(usize),
    /// This environment variable.
    Variable(String),
    /// The file as a whole: missing keys have no line.
    File,
}

/// A value and its place. No `Debug`, because it may be a secret.
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

pub(crate) enum Value {
    Text(String),
    Integer(u64),
    Boolean(bool),
    /// A negative number, a fraction or a date, which no key accepts; as text for messages.
    Other(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
    /// An invalid value that has been reported; no further problem is reported about it.
    Reported,
}

impl Node {
    pub(crate) fn text(text: &str, place: Place) -> Self {
        Self { value: Value::Text(text.to_owned()), place }
    }

    pub(crate) fn table(place: Place) -> Self {
        Self { value: Value::Table(BTreeMap::new()), place }
    }

    /// The entry `name`, if this is a table.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(entries) => entries.get(name),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Boolean(_)
            | Value::Other(_)
            | Value::List(_)
            | Value::Reported => None,
        }
    }

    /// The table at `path`, created if missing; `None` if another value is there.
    pub(crate) fn entries(&mut self, path: &[&str]) -> Option<&mut BTreeMap<String, Self>> {
        let place = self.place.clone();
        let Value::Table(entries) = &mut self.value else { return None };
        match path.split_first() {
            None => Some(entries),
            Some((name, rest)) => {
                entries.entry((*name).to_owned()).or_insert_with(|| Self::table(place)).entries(rest)
            }
        }
    }
}
