//! Reports unknown keys, and values where a table is expected.

use std::collections::BTreeMap;

use super::problem::Report;
use super::schema::{self, Key, RULE, Takes};
use super::suggestion;
use super::tree::{Node, Value};

/// Reports unknown keys and values that should be tables, and marks them as reported. `form` is
/// [`schema::ROOT`] or [`schema::CASES`].
pub(crate) fn check(root: &mut Node, form: &'static [Key], report: &Report) {
    Check { form, report }.table(root, "", form);
}

struct Check<'a> {
    form: &'static [Key],
    report: &'a Report,
}

impl Check<'_> {
    fn table(&self, node: &mut Node, above: &str, keys: &'static [Key]) {
        if matches!(node.value, Value::Reported) {
            return;
        }
        let Value::Table(entries) = &mut node.value else {
            self.report.add(&node.place, above, format!("must be a table; write it as [{above}]"));
            node.value = Value::Reported;
            return;
        };
        self.correct_tables(entries, above, keys);
        for (name, node) in entries {
            if matches!(node.value, Value::Reported) {
                continue;
            }
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            let Some(key) = keys.iter().find(|key| key.name == name) else {
                let message = format!("unknown key{}", self.suggest(name, above, keys));
                self.report.add(&node.place, &path, message);
                node.value = Value::Reported;
                continue;
            };
            match key.takes {
                Takes::Text | Takes::Value | Takes::Names => {}
                Takes::Table(keys) => self.table(node, &path, keys),
                Takes::Tables(keys) => self.tables(node, &path, keys),
                Takes::NamedTables(keys) => self.named_tables(node, &path, keys),
                // Other values are checked by their readers.
                Takes::Rules => self.tables_in_list(node, &path, RULE),
                Takes::TextOrTable(keys) if matches!(node.value, Value::Table(_)) => {
                    self.table(node, &path, keys);
                }
                Takes::TextOrTable(_) => {}
            }
        }
    }

    /// Reports misspelt tables and reads them as what was probably meant, so that problems
    /// inside are found in the same run.
    fn correct_tables(&self, entries: &mut BTreeMap<String, Node>, above: &str, keys: &'static [Key]) {
        let is_table = |key: &Key| matches!(key.takes, Takes::Table(_) | Takes::Tables(_));
        let unknown: Vec<String> =
            entries.keys().filter(|name| keys.iter().all(|key| key.name != *name)).cloned().collect();
        for name in unknown {
            let fits = |node: &Node, key: &Key| match (&node.value, &key.takes) {
                (Value::Table(_), Takes::Table(_)) => true,
                (Value::List(list), Takes::Tables(_)) => {
                    list.iter().all(|node| matches!(node.value, Value::Table(_)))
                }
                _ => false,
            };
            let near = suggestion::nearest(&name, keys.iter().map(|key| key.name));
            let Some(key) = keys.iter().find(|key| Some(key.name) == near && is_table(key)) else { continue };
            if entries.contains_key(key.name) || !entries.get(&name).is_some_and(|node| fits(node, key)) {
                continue;
            }
            let Some(node) = entries.remove(&name) else { continue };
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            self.report.add(&node.place, &path, format!("unknown key; did you mean `{}`?", key.name));
            entries.insert(key.name.to_owned(), node);
        }
    }

    fn tables(&self, node: &mut Node, path: &str, keys: &'static [Key]) {
        if matches!(node.value, Value::Reported) {
            return;
        }
        let Value::List(list) = &mut node.value else {
            let message = format!("must be a list of tables; write each as [[{path}]]");
            self.report.add(&node.place, path, message);
            node.value = Value::Reported;
            return;
        };
        for (index, node) in list.iter_mut().enumerate() {
            let path = format!("{path}[{index}]");
            if matches!(node.value, Value::Table(_)) {
                self.table(node, &path, keys);
            } else if !matches!(node.value, Value::Reported) {
                let name = path.split('[').next().unwrap_or_default();
                self.report.add(&node.place, &path, format!("must be a table; write it as [[{name}]]"));
                node.value = Value::Reported;
            }
        }
    }

    fn named_tables(&self, node: &mut Node, path: &str, keys: &'static [Key]) {
        let Value::Table(entries) = &mut node.value else { return self.table(node, path, keys) };
        for (name, node) in entries {
            self.table(node, &format!("{path}.{name}"), keys);
        }
    }

    fn tables_in_list(&self, node: &mut Node, path: &str, keys: &'static [Key]) {
        let Value::List(list) = &mut node.value else { return };
        for (index, node) in list.iter_mut().enumerate() {
            if matches!(node.value, Value::Table(_)) {
                self.table(node, &format!("{path}[{index}]"), keys);
            }
        }
    }

    /// A suggestion for an unknown key.
    fn suggest(&self, name: &str, above: &str, keys: &[Key]) -> String {
        if let Some(near) = suggestion::nearest(name, keys.iter().map(|key| key.name)) {
            return format!("; did you mean `{near}`?");
        }
        let everywhere = schema::all("", self.form);
        match everywhere.iter().find(|(_, key)| key.name == name) {
            // Keys after a [table] belong to that table, which is a common mistake.
            Some((path, _)) if path == name && !above.is_empty() => {
                format!("; `{name}` belongs at the top of the file, before the first [table]")
            }
            Some((path, _)) => format!("; did you mean `{path}`?"),
            None => String::new(),
        }
    }
}
