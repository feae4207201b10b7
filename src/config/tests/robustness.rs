//! Any value for any key, and arbitrary text.

use super::*;
use crate::config::schema::{self, Takes};

/// A valid file in dotted keys, with `path` set to `value`.
fn set(path: &str, value: &str) -> String {
    let secret = format!("{SECRET:?}");
    let mut lines = vec![
        ("public_url", "\"https://app.example.com\""),
        ("upstream", "\"http://127.0.0.1:7860\""),
        ("provider.client_id", "\"id\""),
        ("session.secret", secret.as_str()),
        ("access.allow", "\"anyone\""),
    ];
    // `x_file` together with `x` is always a problem.
    let below = format!("{path}.");
    lines.retain(|(key, _)| *key != path && format!("{key}_file") != path && !key.starts_with(&below));
    lines.push((path, value));
    lines.into_iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
}

/// One text per key, with the key set to `value`.
fn everywhere(value: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for (path, key) in schema::all("", schema::ROOT) {
        if let Some(name) = path.strip_prefix("tls.certificates[].") {
            let other = if name == "cert_file" { "key_file" } else { "cert_file" };
            let pair = format!("[{{ {name} = {value}, {other} = \"x\" }}]");
            let first = "cert_file = \"a\", key_file = \"b\"";
            texts.push(set("tls", &format!("{{ {first}, certificates = {pair} }}")));
            continue;
        }
        match path.strip_prefix("route[].") {
            Some("path") => texts.push(set("route", &format!("[{{ path = {value} }}]"))),
            Some(name) => texts.push(set("route", &format!("[{{ path = \"/x\", {name} = {value} }}]"))),
            None => texts.push(set(&path, value)),
        }
        if matches!(key.takes, Takes::Rules) && !path.contains("[]") {
            for rule in schema::RULE {
                let org =
                    if matches!(rule.name, "role" | "resource_group") { "org = \"acme\", " } else { "" };
                texts.push(set(&path, &format!("[{{ {org}{} = {value} }}]", rule.name)));
            }
        }
    }
    texts
}

#[test]
fn the_file_in_dotted_keys_is_valid() {
    assert_eq!(problems(&set("prefix", "\"/oauth2\""), &Environment::default()), "");
}

#[cfg(feature = "proxy")]
#[test]
fn meaningless_values_are_rejected_by_every_key() {
    for value in ["1979-05-27", "0.5", "-1", "[[]]", "[0.5]", "{ nonsense = 0.5 }", "\"\""] {
        for text in everywhere(value) {
            // No user name is one without a name.
            if value == "\"\"" && text.contains("username = ") {
                continue;
            }
            assert_ne!(problems(&text, &Environment::default()), "", "accepted:\n{text}");
        }
    }
}

#[test]
fn every_problem_is_one_line_in_the_common_format() {
    for value in ["1979-05-27", "0", "true", "\"\"", "\"a b\\n\"", "[]", "[[]]", "{}", "{ x = 1 }", "\"ü\""]
    {
        for text in everywhere(value) {
            let Err(problems) = read(&text, &Environment::default()) else { continue };
            for problem in problems.iter() {
                let message = &problem.message;
                assert!(!message.contains('\n') && !message.ends_with('.'), "{problem}");
                let start = message.chars().next().unwrap();
                assert!(!start.is_uppercase(), "{problem}");
                assert!(problem.line.is_some() || message.contains("missing"), "{problem}");
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(text in ".{0,200}", lines in proptest::collection::vec("[a-z_]{0,8}( ?= ?|\\[+|\\]+|\")[ -~]{0,20}", 0..8)) {
        problems(&text, &Environment::default());
        problems(&lines.join("\n"), &Environment::from([("HUGGATE_ACCESS__ALLOW", text.as_str())]));
    }

    #[test]
    fn truncated_references_do_not_panic(at in 0..6000_usize, put in "[\"\\[\\]{}=#'\\\\a]{0,3}") {
        let text = include_str!("../../../config.toml");
        let at = at.min(text.len());
        if let Some((before, after)) = text.split_at_checked(at) {
            let changed = format!("{before}{put}{after}");
            let found = problems(&changed, &Environment::default());
            proptest::prop_assert!(!found.contains("dGhpcyBpcyBw"), "{found}");
        }
    }
}
