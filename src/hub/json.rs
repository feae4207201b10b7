//! JSON objects.

use serde_json::{Map, Value};

/// A JSON object.
pub type Object = Map<String, Value>;

/// Sets a member of an object.
pub(super) fn set(object: &mut Object, name: &str, value: impl Into<Value>) {
    object.insert(name.to_owned(), value.into());
}

/// The object in `value`; an empty one for other types.
pub(super) fn object(value: Value) -> Object {
    match value {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Object::new(),
    }
}
