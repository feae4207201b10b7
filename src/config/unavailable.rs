//! What the reference names and this version does not have yet. Nothing of it is
//! accepted in silence: a setting that did nothing would be a false promise.

use super::tree::{Node, Value};

pub(super) const MESSAGE: &str = "is not available in this version yet; take it out";

/// Delete the line when the thing is there.
const UNAVAILABLE: &[(&str, What)] = &[
    ("session.store", What::Start("file:")),
    ("session.store", What::Start("redis:")),
    ("session.store", What::Start("rediss:")),
    ("session.store", What::Start("redis+")),
    ("session.store", What::Start("rediss+")),
    ("admin", What::Key),
];

/// What of a key is not there yet.
enum What {
    /// All of it.
    Key,
    /// Values that start so, alone or in a list.
    Start(&'static str),
}

/// Whether `node` at `path` asks for something of the table above.
pub(super) fn is(path: &str, node: &Node) -> bool {
    let indexed = path.starts_with("route[").then(|| path.split_once("].")).flatten();
    let path = indexed.map_or(path.to_owned(), |(_, key)| format!("route.{key}"));
    UNAVAILABLE.iter().filter(|(key, _)| *key == path).any(|(_, what)| match what {
        What::Key => true,
        What::Start(start) => starts(node, start),
    })
}

/// Whether a variable's path leads into the table above.
pub(super) fn is_below(path: &[&str]) -> bool {
    let path = path.join(".");
    UNAVAILABLE.iter().any(|(key, what)| {
        matches!(what, What::Key)
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
