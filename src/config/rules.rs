//! `allow` and `deny`.

use super::reader::{Field, Table};
use crate::identity::Role;
use crate::policy::{Access, Rule};

/// Reads `allow`: `"anyone"`, or a list of rules.
pub(super) fn access(field: &Field<'_>) -> Option<Access> {
    match field.as_text() {
        Some("anyone") => return Some(Access::Anyone),
        Some(_) => {
            field.invalid(r#"is not a list of rules; write a list, like [{ org = "acme" }], or "anyone""#);
            return None;
        }
        None => {}
    }
    let rules = rules(field)?;
    if field.as_list().is_some_and(|list| list.is_empty()) {
        field.invalid(r#"lets nobody in; say who may enter, like [{ org = "acme" }], or "anyone""#);
    }
    Some(Access::Rules(rules))
}

/// Reads a list of rules; invalid ones are reported and left out.
pub(super) fn rules(field: &Field<'_>) -> Option<Vec<Rule>> {
    Some(field.list()?.iter().filter_map(rule).collect())
}

fn rule(field: &Field<'_>) -> Option<Rule> {
    let Some(table) = field.as_table() else {
        if field.as_text() == Some("anyone") {
            field.invalid(r#"cannot be in a list; write allow = "anyone""#);
        } else {
            field.invalid(
                r#"is not a rule; write it like { user = "ada" } or { org = "acme", role = "admin" }"#,
            );
        }
        return None;
    };
    if table.fields().is_empty() {
        field.problem("an empty rule matches nobody; write it like { user = \"ada\" }");
        return None;
    }
    let parts = [user(&table), org(&table), email(&table), email_domain(&table), pro(&table)];
    parts.into_iter().flatten().reduce(Rule::and)
}

fn user(table: &Table<'_>) -> Option<Rule> {
    let user = table.field("user")?.parse(|text| match text {
        _ if text.contains('@') => Err("is not a username or an id; use `email` for an e-mail address"),
        _ if is_name(text) => Ok(text.to_owned()),
        _ => Err("is not a username or an id, as in huggingface.co/ada"),
    })?;
    Some(Rule::user(user))
}

fn org(table: &Table<'_>) -> Option<Rule> {
    let Some(org) = table.field("org") else {
        for name in ["role", "resource_group"] {
            if let Some(field) = table.field(name) {
                field.problem("needs an `org` in the same rule");
            }
        }
        return None;
    };
    let org = org.parse(|text| match text {
        _ if is_name(text) => Ok(text.to_owned()),
        _ => Err("is not an organisation's slug or id; the slug is the name in huggingface.co/acme"),
    });
    let role = table.field("role").and_then(|field| field.parse(role));
    let group = table.field("resource_group").and_then(|field| field.parse(not_blank));
    let mut rule = Rule::org(org?);
    if let Some(role) = role {
        rule = rule.with_role(role);
    }
    if let Some(group) = group {
        rule = rule.with_resource_group(&group);
    }
    Some(rule)
}

fn role(text: &str) -> Result<Role, String> {
    const KNOWN: [&str; 4] = ["read", "contributor", "write", "admin"];
    if text == "no_access" {
        return Err("does not give access; name another role, or leave it out".to_owned());
    }
    // Custom roles can have any name, but one that differs from a built-in role by case alone
    // is probably a mistake and would match nobody.
    match KNOWN.iter().find(|known| **known != text && known.eq_ignore_ascii_case(text)) {
        Some(known) => Err(format!("is not a role; did you mean \"{known}\"?")),
        None => Ok(Role::parse(&not_blank(text)?)),
    }
}

fn email(table: &Table<'_>) -> Option<Rule> {
    let email = table.field("email")?.parse(|text| {
        let parts = text.split_once('@').filter(|(local, domain)| {
            !local.is_empty()
                && !domain.is_empty()
                && !domain.contains('@')
                && !text.contains(char::is_whitespace)
        });
        parts.map(|_| text.to_owned()).ok_or("is not an e-mail address; write it like \"ada@example.com\"")
    })?;
    Some(Rule::email(email))
}

fn email_domain(table: &Table<'_>) -> Option<Rule> {
    let domain = table.field("email_domain")?.parse(|text| {
        let name = text.strip_prefix("*.").or_else(|| text.strip_prefix('.')).unwrap_or(text);
        let plain = |label: &str| {
            !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'))
        };
        if text.contains('@') {
            Err("is not a domain; remove the @ and the part before it")
        } else if name.split('.').all(plain) {
            Ok(text.to_owned())
        } else {
            Err("is not a domain; write it like \"example.com\", or \".example.com\" to include its subdomains")
        }
    })?;
    Some(Rule::email_domain(&domain))
}

fn pro(table: &Table<'_>) -> Option<Rule> {
    table.field("pro")?.flag().map(Rule::pro)
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn not_blank(text: &str) -> Result<String, String> {
    if text.trim().is_empty() { Err("is empty".to_owned()) } else { Ok(text.to_owned()) }
}
