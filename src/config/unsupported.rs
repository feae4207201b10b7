//! Settings of the reference that this version does not support. They are rejected, because a
//! setting without effect would be misleading.

use super::tree::{Node, Value};

pub(super) const MESSAGE: &str = "is not available in this version; remove it";

/// Remove an entry when the setting is implemented.
const UNSUPPORTED: &[(&str, Extent)] = &[
    ("session.store", Extent::Prefix("file:")),
    ("session.store", Extent::Prefix("redis:")),
    ("session.store", Extent::Prefix("rediss:")),
    ("session.store", Extent::Prefix("redis+")),
    ("session.store", Extent::Prefix("rediss+")),
    ("admin", Extent::Key),
];

/// The unsupported part of a key.
enum Extent {
    /// Every value.
    Key,
    /// Values with this prefix, alone or in a list.
    Prefix(&'static str),
}

/// Whether `node` at `path` is unsupported.
pub(super) fn is(path: &str, node: &Node) -> bool {
    let indexed = path.starts_with("route[").then(|| path.split_once("].")).flatten();
    let path = indexed.map_or(path.to_owned(), |(_, key)| format!("route.{key}"));
    UNSUPPORTED.iter().filter(|(key, _)| *key == path).any(|(_, what)| match what {
        Extent::Key => true,
        Extent::Prefix(start) => starts(node, start),
    })
}

/// Whether a variable's path is unsupported.
pub(super) fn is_below(path: &[&str]) -> bool {
    let path = path.join(".");
    UNSUPPORTED.iter().any(|(key, what)| {
        matches!(what, Extent::Key)
            && path.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

fn starts(node: &Node, start: &str) -> bool {
    match &node.value {
        Value::Text(text) => text.starts_with(start),
        Value::List(list) => list.iter().any(|node| starts(node, start)),
        Value::Integer(_) | Value::Boolean(_) | Value::Other(_) | Value::Table(_) | Value::Reported => false,
    }
}
