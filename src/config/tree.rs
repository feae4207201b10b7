//! The file as a tree that knows where each value stands.
//!
//! The tree is our own, and not the parser's, because values also come from the
//! environment, and a problem then names the variable instead of a line.

use std::collections::BTreeMap;

/// Where a value stands.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the file, at this line.
    Line(usize),
    /// In this environment variable.
    Variable(String),
    /// Nowhere: what is missing has no line.
    File,
}

/// A value and its place. No `Debug`: it may be a secret.
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

pub(super) enum Value {
    Text(String),
    Integer(u64),
    Boolean(bool),
    /// A number below zero or with a fraction, a date: nothing takes one. The
    /// text is for messages.
    Other(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
    /// Something was here, and it is reported already; nobody else is to
    /// complain, neither of the value nor of its absence.
    Reported,
}

impl Node {
    pub(super) fn text(text: &str, place: Place) -> Self {
        Self { value: Value::Text(text.to_owned()), place }
    }

    pub(super) fn table(place: Place) -> Self {
        Self { value: Value::Table(BTreeMap::new()), place }
    }

    /// What is under `name`, if this is a table.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
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

    /// The table at `path`, made where there is none; `None` if something else
    /// is in the way.
    pub(super) fn entries(&mut self, path: &[&str]) -> Option<&mut BTreeMap<String, Self>> {
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
