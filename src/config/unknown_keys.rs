//! Reports unknown keys, and values where a table is expected.

use super::problem::Report;
use super::schema::{self, Key, RULE, Takes};
use super::tree::{Node, Value};
use super::{suggestion, unsupported};

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
        let Value::Table(entries) = &mut node.value else {
            self.report.add(&node.place, above, format!("must be a table; write it as [{above}]"));
            node.value = Value::Reported;
            return;
        };
        for (name, node) in entries {
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            if unsupported::is(&path, node) {
                self.report.add(&node.place, &path, unsupported::MESSAGE);
                node.value = Value::Reported;
                continue;
            }
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

    fn tables(&self, node: &mut Node, path: &str, keys: &'static [Key]) {
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
            } else {
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
