//! Environment variables, read once and passed on as a value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;

use super::problem::Report;
use super::schema::{self, Takes};
use super::tree::{Node, Place, Value};
use super::{suggestion, toml_parser};

/// Prefix of the variables that set configuration keys.
const PREFIX: &str = "HUGGATE_";
/// Variables with that prefix that are read elsewhere.
const PROGRAM_VARIABLES: [&str; 3] = ["HUGGATE_CONFIG", "HUGGATE_LOG", "HUGGATE_LOG_FORMAT"];
/// Variables that a Space sets about itself and its OAuth app.
const SPACE_VARIABLES: [&str; 5] =
    ["SPACE_HOST", "OAUTH_CLIENT_ID", "OAUTH_CLIENT_SECRET", "OAUTH_SCOPES", "OPENID_PROVIDER_URL"];

/// A snapshot of the relevant environment variables.
///
/// ```
/// use huggate::config::Environment;
///
/// let environment = Environment::from([("HUGGATE_PROVIDER__CLIENT_ID", "…")]);
/// # drop(environment);
/// ```
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, OsString>);

impl Environment {
    /// The variables of the current process.
    #[must_use]
    pub fn of_process() -> Self {
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect()
    }

    /// A variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|value| value.to_str()).filter(|value| !value.is_empty())
    }

    /// Whether any variable sets a configuration key.
    pub(super) fn configures(&self) -> bool {
        self.settings().next().is_some()
    }

    /// The variables that set keys, with the path of the key.
    fn settings(&self) -> impl Iterator<Item = (&str, &OsStr, String)> {
        self.0.iter().filter(|(name, _)| !PROGRAM_VARIABLES.contains(&name.as_str())).filter_map(
            |(name, value)| {
                let path = name.strip_prefix(PREFIX)?.to_ascii_lowercase().replace("__", ".");
                Some((name.as_str(), value.as_os_str(), path))
            },
        )
    }

    /// Overrides the file's values with the variables.
    pub(super) fn apply(&self, root: &mut Node, report: &Report) {
        for (name, value, path) in self.settings() {
            let place = Place::Variable(name.to_owned());
            let segments: Vec<&str> = path.split('.').collect();
            match read(&segments, value, &place) {
                Ok(node) => set(root, &segments, node),
                Err(message) => report.add(&place, "", message),
            }
        }
    }
}

/// Parses the value of a variable for the key at `path`.
fn read(path: &[&str], value: &OsStr, place: &Place) -> Result<Node, String> {
    let Some(key) = schema::find(path) else {
        return Err(format!("unknown variable{}", suggest(path)));
    };
    let Some(text) = value.to_str() else { return Err("is not UTF-8".to_owned()) };
    if text.trim().is_empty() {
        return Err("is empty; unset it, or set a value".to_owned());
    }
    match key.takes {
        Takes::Text => Ok(Node::text(text, place.clone())),
        Takes::Table(keys) => {
            let first = keys.first().map_or("", |key| key.name);
            let example = variable(&[path, &[first]].concat());
            Err(format!("is a table; set its keys one by one, as in {example}"))
        }
        // A value that is not TOML is taken as a string: HUGGATE_LISTEN=127.0.0.1:4180.
        Takes::Value
        | Takes::Rules
        | Takes::Names
        | Takes::Tables(_)
        | Takes::NamedTables(_)
        | Takes::TextOrTable(_) => {
            Ok(toml_parser::parse_value(text, place).unwrap_or_else(|| Node::text(text, place.clone())))
        }
    }
}

/// Sets a value in the tree. `x` and `x_file` are one setting, so either replaces the other if
/// that one is from the file.
fn set(root: &mut Node, path: &[&str], node: Node) {
    let Some((name, above)) = path.split_last() else { return };
    let Some(entries) = root.entries(above) else { return };
    let twin = name.strip_suffix("_file").map_or_else(|| format!("{name}_file"), str::to_owned);
    if entries.get(&twin).is_some_and(|twin| matches!(twin.place, Place::Line(_))) {
        entries.remove(&twin);
    }
    entries.insert((*name).to_owned(), node);
}

/// The name of the variable for the key at `path`.
fn variable(path: &[&str]) -> String {
    format!("{PREFIX}{}", path.join("__").to_ascii_uppercase())
}

fn suggest(path: &[&str]) -> String {
    if path.first() == Some(&"route") {
        return "; routes are set as a whole, in HUGGATE_ROUTE".to_owned();
    }
    if matches!(path, ["identity", "headers", ..]) {
        return "; the headers are set as a whole, in HUGGATE_IDENTITY__HEADERS".to_owned();
    }
    let settable = schema::all("", schema::ROOT);
    let settable = settable
        .iter()
        .filter(|(path, key)| !path.contains("[]") && !matches!(key.takes, Takes::Table(_)))
        .map(|(path, _)| path.as_str());
    let own = PROGRAM_VARIABLES.map(|name| name.trim_start_matches(PREFIX).to_ascii_lowercase());
    let known: Vec<&str> = settable.chain(own.iter().map(String::as_str)).collect();
    let name = path.join(".");
    let near = suggestion::nearest(&name, known.iter().copied())
        // The right key without its table, or more than the name of a variable.
        .or_else(|| known.iter().copied().find(|key| key.rsplit('.').next() == path.last().copied()))
        .or_else(|| own.iter().map(String::as_str).find(|own| name.starts_with(&format!("{own}_"))));
    let near = near.map(|near| variable(&near.split('.').collect::<Vec<_>>()));
    near.map_or_else(String::new, |near| format!("; did you mean {near}?"))
}

/// Sets a value from a Space's variable, unless there is one already.
pub(super) fn set_default(root: &mut Node, path: &[&str], value: &str, name: &str) {
    let Some((last, above)) = path.split_last() else { return };
    let Some(entries) = root.entries(above) else { return };
    entries.entry((*last).to_owned()).or_insert_with(|| Node {
        value: Value::Text(value.to_owned()),
        place: Place::Variable(name.to_owned()),
    });
}

impl<K: Into<String>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let counts = |name: &str| name.starts_with(PREFIX) || SPACE_VARIABLES.contains(&name);
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self(variables.filter(|(name, _): &(String, OsString)| counts(name)).collect())
    }
}

impl<K: Into<String>, V: Into<OsString>, const N: usize> From<[(K, V); N]> for Environment {
    fn from(variables: [(K, V); N]) -> Self {
        variables.into_iter().collect()
    }
}

impl fmt::Debug for Environment {
    /// Only the names: the values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Environment").field(&self.0.keys()).finish()
    }
}
