//! JSON objects of the provider, read member by member: a member that the gate can do without
//! never spoils the rest of a document.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A member of a document.
#[derive(Debug, Default)]
pub(super) enum Member<T> {
    /// It is missing or `null`.
    #[default]
    Absent,
    Value(T),
    /// It has another type than expected, or is there twice.
    Malformed,
}

impl<T> Member<T> {
    /// The value. A malformed member is treated as absent, and its name is noted in `ignored`.
    pub(super) fn or_ignore(self, name: &'static str, ignored: &mut Ignored) -> Option<T> {
        match self {
            Self::Absent => None,
            Self::Value(value) => Some(value),
            Self::Malformed => {
                ignored.note(name);
                None
            }
        }
    }

    fn of(raw: &RawValue) -> Self
    where
        T: for<'de> Deserialize<'de>,
    {
        if raw.get() == "null" {
            return Self::Absent;
        }
        serde_json::from_str(raw.get()).map_or(Self::Malformed, Self::Value)
    }
}

// The text is delimited first and parsed after that, so that a string or a number that cannot
// be represented is malformed by itself and not the whole document.
impl<'de, T: for<'any> Deserialize<'any>> Deserialize<'de> for Member<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self::of(&raw))
    }
}

/// A JSON object whose members are not parsed yet.
#[derive(Debug)]
pub(super) struct Document {
    /// `None`: the name is there twice (RFC 8259, section 4), and which one counts is unknown.
    members: HashMap<String, Option<Box<RawValue>>>,
}

impl Document {
    pub(super) fn member<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Member<T> {
        match self.members.get(name) {
            None => Member::Absent,
            Some(None) => Member::Malformed,
            Some(Some(raw)) => Member::of(raw),
        }
    }

    /// A member that is ignored unless it has the expected type.
    pub(super) fn optional<T: for<'de> Deserialize<'de>>(
        &self,
        name: &'static str,
        ignored: &mut Ignored,
    ) -> Option<T> {
        self.member(name).or_ignore(name, ignored)
    }

    /// A member without which the document cannot be used; `None` also if it is malformed.
    pub(super) fn required<T: for<'de> Deserialize<'de>>(&self, name: &str) -> Option<T> {
        match self.member(name) {
            Member::Value(value) => Some(value),
            Member::Absent | Member::Malformed => None,
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Document;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Document, A::Error> {
                let mut members = HashMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    match members.entry(name) {
                        Entry::Vacant(entry) => drop(entry.insert(Some(value))),
                        Entry::Occupied(mut entry) => drop(entry.insert(None)),
                    }
                }
                Ok(Document { members })
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// The names of the members that were ignored, for the log. Values may be personal, so they
/// are not noted.
#[derive(Debug, Default)]
pub(super) struct Ignored(Vec<&'static str>);

impl Ignored {
    pub(super) fn note(&mut self, name: &'static str) {
        if !self.0.contains(&name) {
            self.0.push(name);
        }
    }

    /// Logs them, in one line for a document.
    pub(super) fn report(&self, document: &'static str) {
        if !self.0.is_empty() {
            tracing::warn!(
                document,
                members = %self.0.join(", "),
                "the provider sent members of an unexpected type; they grant nothing",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_member_leaves_the_others_readable() {
        let text = r#"{"good":"x","null":null,"number":7,"surrogate":"\ud800","huge":1e999,
            "twice":"a","twice":"a","list":["a",7,null]}"#;
        let document: Document = serde_json::from_str(text).unwrap();
        let mut ignored = Ignored::default();
        assert_eq!(document.optional::<String>("good", &mut ignored).as_deref(), Some("x"));
        assert_eq!(document.optional::<String>("null", &mut ignored), None);
        assert_eq!(document.optional::<String>("absent", &mut ignored), None);
        assert!(ignored.0.is_empty());
        for name in ["number", "surrogate", "huge", "twice", "list"] {
            assert_eq!(document.optional::<String>(name, &mut ignored), None, "{name}");
            assert_eq!(document.required::<String>(name), None, "{name}");
        }
        assert_eq!(ignored.0, ["number", "surrogate", "huge", "twice", "list"]);
        let list: Vec<Member<String>> = document.required("list").unwrap();
        assert!(matches!(&list[..], [Member::Value(_), Member::Malformed, Member::Absent]), "{list:?}");
        assert!(serde_json::from_str::<Document>("[]").is_err());
    }
}
