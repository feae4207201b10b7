//! `config.toml` in the repository root: valid and complete.

use std::collections::BTreeSet;

use super::*;
use crate::config::schema::{self, Takes};

const REFERENCE: &str = include_str!("../../../config.toml");

/// The reference with all commented-out settings enabled.
fn uncommented() -> String {
    let is_setting = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
    };
    let line =
        |line: &str| if is_setting(line) { line.trim_start_matches('#').to_owned() } else { line.to_owned() };
    REFERENCE.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn config(text: &str) -> Parts {
    read(text, &Environment::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_reference_is_a_working_configuration() {
    let loaded = Config::parse(REFERENCE, "config.toml", &Environment::default());
    loaded.unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn commented_out_values_are_the_defaults() {
    let (plain, all) = (config(REFERENCE), config(&uncommented()));
    assert_eq!(plain.gate.routes.len(), 0);
    assert_eq!(all.gate.routes.len(), 2);
    let gate = |mut parts: Parts| {
        // Examples without a default.
        parts.gate.routes.clear();
        parts.gate.provider.client_secret = None;
        parts.gate.session.revocations = crate::session::RevocationSettings::InProcess;
        // The reference lists the headers alphabetically.
        parts.gate.headers.claims.sort_by_key(|(name, _)| name.to_string());
        format!("{:#?}", parts.gate)
    };
    #[cfg(feature = "proxy")]
    {
        let proxy = |parts: &Parts| {
            let (mut server, mut upstream) = (parts.server.clone(), parts.upstream.clone().unwrap());
            server.tls.clear();
            // The default depends on the number of cores.
            server.threads = 0;
            upstream.tls = crate::upstream::UpstreamTls::default();
            upstream.default.health = None;
            upstream.routes.clear();
            format!("{server:#?}{upstream:#?}")
        };
        assert_eq!(proxy(&plain), proxy(&all));
    }
    assert_eq!(gate(plain), gate(all));
}

#[test]
fn every_key_is_in_the_reference() {
    let text = uncommented();
    let mentioned: BTreeSet<&str> =
        text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))).collect();
    let mut keys: Vec<(String, &str)> =
        schema::all("", schema::ROOT).into_iter().map(|(path, key)| (path, key.name)).collect();
    keys.extend(schema::RULE.iter().map(|key| (format!("allow[].{}", key.name), key.name)));
    for (path, name) in keys {
        assert!(mentioned.contains(name), "{path} is not in config.toml");
    }
    // Every key is under its own table.
    let tree = crate::config::toml_parser::parse(&text, "config.toml")
        .unwrap_or_else(|problems| panic!("{problems}"));
    for (path, key) in schema::all("", schema::ROOT) {
        let a_file = ["secret_file", "password_file", "token_file"].iter().any(|end| path.ends_with(end));
        if path.contains("[]") || a_file || matches!(key.takes, Takes::Table(_)) {
            continue;
        }
        let found = path.split('.').try_fold(&tree, |node, name| node.get(name));
        assert!(found.is_some(), "{path} is not in config.toml");
    }
}
