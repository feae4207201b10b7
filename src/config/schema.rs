//! The schema of the configuration file: every key.

/// A key and the kind of its value.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) takes: Takes,
}

pub(crate) enum Takes {
    /// A string; the value of a variable is used verbatim.
    Text,
    /// A number, a boolean, a list, or a string that represents one.
    Value,
    /// A list of rules.
    Rules,
    /// A table with arbitrary keys.
    Names,
    Table(&'static [Key]),
    /// A list of tables: `[[route]]`.
    Tables(&'static [Key]),
    /// A table of tables with arbitrary names.
    NamedTables(&'static [Key]),
    /// A string or a table.
    TextOrTable(&'static [Key]),
}

const fn text(name: &'static str) -> Key {
    Key { name, takes: Takes::Text }
}

const fn value(name: &'static str) -> Key {
    Key { name, takes: Takes::Value }
}

const fn rules(name: &'static str) -> Key {
    Key { name, takes: Takes::Rules }
}

const fn table(name: &'static str, keys: &'static [Key]) -> Key {
    Key { name, takes: Takes::Table(keys) }
}

/// The keys of a configuration file.
pub(crate) const ROOT: &[Key] = &[
    text("public_url"),
    value("listen"),
    text("listen_mode"),
    value("threads"),
    value("proxy_protocol"),
    value("upstream"),
    text("health"),
    value("trusted_proxies"),
    value("return_hosts"),
    text("prefix"),
    table(
        "tls",
        &[
            text("cert_file"),
            text("key_file"),
            Key { name: "certificates", takes: Takes::Tables(&[text("cert_file"), text("key_file")]) },
        ],
    ),
    table(
        "provider",
        &[
            text("issuer"),
            text("client_id"),
            text("client_secret"),
            text("client_secret_file"),
            text("scope"),
            value("orgs"),
            text("clock_skew"),
        ],
    ),
    table(
        "session",
        &[
            value("secret"),
            text("secret_file"),
            text("cookie_name"),
            text("same_site"),
            text("idle_timeout"),
            text("max_age"),
            text("revalidate"),
            text("revalidate_grace"),
            text("store"),
            text("cache"),
            text("store_grace"),
            text("revocations"),
            table(
                "redis",
                &[
                    text("mode"),
                    value("nodes"),
                    text("master"),
                    text("username"),
                    text("password"),
                    text("password_file"),
                    text("sentinel_username"),
                    text("sentinel_password"),
                    text("sentinel_password_file"),
                    text("ca_file"),
                    text("cert_file"),
                    text("key_file"),
                    text("prefix"),
                    text("timeout"),
                ],
            ),
        ],
    ),
    table("admin", &[text("listen"), text("token"), text("token_file")]),
    table("access", &[rules("allow"), rules("deny")]),
    Key {
        name: "route",
        takes: Takes::Tables(&[
            text("host"),
            text("path"),
            value("methods"),
            value("public"),
            rules("allow"),
            rules("deny"),
            value("upstream"),
            text("health"),
            value("preflight"),
            value("cors"),
            text("bearer"),
            value("forward_authorization"),
            text("assertion"),
        ]),
    },
    table("upstream_tls", &[text("ca_file"), text("cert_file"), text("key_file"), text("server_name")]),
    table(
        "identity",
        &[
            value("assertion"),
            value("assertion_header"),
            value("access_token"),
            value("groups_bytes"),
            Key { name: "headers", takes: Takes::Names },
        ],
    ),
    table("bearer", &[value("hub_tokens"), value("clients"), value("app_tokens")]),
    table(
        "timeouts",
        &[
            text("header"),
            text("connect"),
            text("response"),
            text("idle"),
            text("upstream_idle"),
            text("stream"),
            text("drain"),
        ],
    ),
    table(
        "limits",
        &[
            value("header_bytes"),
            value("headers"),
            value("body_bytes"),
            value("connections"),
            value("connections_per_address"),
            value("upstream_connections"),
            value("streams"),
        ],
    ),
];

/// The keys of a rule in `allow` and `deny`.
pub(crate) const RULE: &[Key] = &[
    text("user"),
    text("org"),
    text("role"),
    text("resource_group"),
    text("email"),
    text("email_domain"),
    value("pro"),
];

/// The key at `path`.
pub(crate) fn find(path: &[&str]) -> Option<&'static Key> {
    let mut keys = ROOT;
    let mut found = None;
    for name in path {
        let key = keys.iter().find(|key| key.name == *name)?;
        keys = match key.takes {
            Takes::Table(keys) => keys,
            Takes::Text
            | Takes::Value
            | Takes::Rules
            | Takes::Names
            | Takes::Tables(_)
            | Takes::NamedTables(_)
            | Takes::TextOrTable(_) => &[],
        };
        found = Some(key);
    }
    found
}

/// Whether a key or table with this path (dotted), or its last segment, exists anywhere.
pub(crate) fn knows(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    name == "headers" || [ROOT, CASES].iter().flat_map(|form| all("", form)).any(|(_, key)| key.name == name)
}

/// Every key with its path: `session.secret`, `route[].host`.
pub(crate) fn all(above: &str, keys: &'static [Key]) -> Vec<(String, &'static Key)> {
    let mut found = Vec::new();
    for key in keys {
        let path = if above.is_empty() { key.name.to_owned() } else { format!("{above}.{}", key.name) };
        let below = match key.takes {
            Takes::Table(keys) => all(&path, keys),
            Takes::Tables(keys) => all(&format!("{path}[]"), keys),
            Takes::NamedTables(keys) => all(&format!("{path}.*"), keys),
            Takes::Text | Takes::Value | Takes::Rules | Takes::Names | Takes::TextOrTable(_) => Vec::new(),
        };
        found.push((path, key));
        found.extend(below);
    }
    found
}

/// The keys of a person in a case file.
const PERSON: &[Key] =
    &[text("user"), text("id"), value("orgs"), value("resource_groups"), text("email"), value("pro")];

/// The keys of a case file.
pub(crate) const CASES: &[Key] = &[
    Key { name: "people", takes: Takes::NamedTables(PERSON) },
    Key {
        name: "case",
        takes: Takes::Tables(&[
            text("method"),
            text("url"),
            value("preflight"),
            Key { name: "who", takes: Takes::TextOrTable(PERSON) },
            text("expect"),
            value("route"),
        ]),
    },
];
