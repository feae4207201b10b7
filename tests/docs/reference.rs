//! The reference has what the program has: keys and defaults, endpoints, headers,
//! codes and events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use huggate::clock::Clock;
use reqwest::header::COOKIE;

use super::pages::{page, root};
use super::world::{gate, http, hub, sign_in};

/// The text of each source file.
fn sources() -> Vec<String> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() { below(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    below(&root().join("src"), &mut found);
    found.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// The value of a table's first cell: `` `key` ``, or several.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A table of the configuration, as its heading has it, with the values of its keys.
type Tables = BTreeMap<String, BTreeMap<String, toml::Value>>;

/// `config.toml` with its commented-out keys. Tables of a list are put together.
fn config() -> Tables {
    let text = std::fs::read_to_string(root().join("config.toml")).unwrap();
    let is_setting = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['))
    };
    let lines = text.lines().map(|line| if is_setting(line) { &line[1..] } else { line });
    let mut tables = Tables::new();
    put(&mut tables, "Top level", "", lines.collect::<Vec<_>>().join("\n").parse().unwrap());
    tables
}

/// Puts what a table holds under its heading; `path` is that of its keys.
fn put(tables: &mut Tables, heading: &str, path: &str, table: toml::Table) {
    for (key, value) in table {
        let below = format!("{path}{key}");
        match value {
            toml::Value::Table(table) => put(tables, &format!("[{below}]"), &format!("{below}."), table),
            toml::Value::Array(list) if matches!(&*below, "route" | "tls.certificates") => {
                for table in list.into_iter().filter_map(|table| table.as_table().cloned()) {
                    put(tables, &format!("[[{below}]]"), &format!("{below}."), table);
                }
            }
            value => _ = tables.entry(heading.to_owned()).or_default().insert(key, value),
        }
    }
}

#[test]
fn the_configuration_has_each_key_and_its_default() {
    let reference = page("docs/reference/configuration.md");
    let config = config();
    let headings =
        reference.prose.iter().filter_map(|(_, text)| text.trim_start_matches('#').strip_prefix(" ["));
    let mut headings: BTreeSet<String> = headings.map(|rest| format!("[{rest}")).collect();
    headings.insert("Top level".to_owned());
    assert_eq!(headings, config.keys().cloned().collect::<BTreeSet<_>>());

    for (table, keys) in config {
        let level = if table.contains('.') { "###" } else { "##" };
        let heading = format!("{level} {table}");
        let rows = reference.rows(&heading);
        let documented: BTreeSet<String> = rows.iter().flat_map(|row| names(&row[0])).collect();
        let mut known: BTreeSet<String> = keys.keys().cloned().collect();
        // Instead of the secret itself, which config.toml shows.
        known.extend(match &*table {
            "[provider]" => vec!["client_secret_file".to_owned()],
            "[session]" => vec!["secret_file".to_owned()],
            "[session.redis]" => vec!["password_file".to_owned(), "sentinel_password_file".to_owned()],
            "[admin]" => vec!["token_file".to_owned()],
            _ => Vec::new(),
        });
        assert_eq!(documented, known, "{heading}");
        for row in rows {
            let (key, default) = (&names(&row[0])[0], &row[1]);
            if default.starts_with('`') {
                let value: toml::Table = format!("value = {}", names(default)[0]).parse().unwrap();
                let reading = if key == "public" { &toml::Value::Boolean(false) } else { &keys[key] };
                // An example in config.toml, where the default is the empty list.
                let same = value["value"] == *reading || (table == "[[route]]" && key == "deny");
                assert!(same, "{heading}: {key} is {reading}, not {default}");
            }
        }
    }
}

#[test]
fn the_keys_of_a_rule_are_those_of_config_toml() {
    let text = std::fs::read_to_string(root().join("config.toml")).unwrap();
    let listed = text.lines().filter_map(|line| line.strip_prefix("#   ")?.split("  ").next());
    let listed: BTreeSet<String> = listed.filter(|key| !key.is_empty()).map(str::to_owned).collect();
    for (name, heading) in [
        ("docs/reference/configuration.md", "### Keys of a rule"),
        ("docs/guides/who-may-enter.md", "# Who may enter"),
    ] {
        let rows = page(name).rows(heading);
        let documented: BTreeSet<String> = rows.iter().flat_map(|row| names(&row[0])).collect();
        assert_eq!(documented, listed, "{name}");
    }
}

#[tokio::test]
async fn every_endpoint_answers() {
    let hub = hub(Clock::system()).await;
    let url = gate(&hub, Clock::system()).await;
    let rows = page("docs/reference/endpoints.md").rows("# Endpoints");
    assert!(rows.len() > 8, "{}", rows.len());
    for row in rows {
        let cell = &names(&row[0])[0];
        let (method, target) = cell.split_once(' ').unwrap_or(("GET", cell));
        let path = target.split(['?', '…']).next().unwrap();
        let method = http::Method::from_bytes(method.as_bytes()).unwrap();
        let answer = http().request(method, format!("{url}{path}")).send().await.unwrap();
        assert_ne!(answer.status(), http::StatusCode::NOT_FOUND, "{path}");
        let status = answer.status().as_u16().to_string();
        // Nobody is signed in here; a proxy that is not trusted gets 400 or 401.
        let possible = row[2].contains(&status) || path.contains("/auth") || path.ends_with("callback");
        assert!(possible, "{path}: {status}, not {}", row[2]);
    }
    let unknown = http().get(format!("{url}/oauth2/other")).send().await.unwrap();
    assert_eq!(unknown.status(), http::StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_app_receives_these_headers() {
    let hub = hub(Clock::system()).await;
    let url = gate(&hub, Clock::system()).await;
    let cookies = sign_in(&format!("{url}/")).await;
    let answer = http().get(format!("{url}/headers")).header(COOKIE, &cookies).send().await.unwrap();
    let received = answer.text().await.unwrap();
    let rows = [
        page("README.md").rows("## What the app receives"),
        page("docs/reference/headers.md").rows("## What the app receives"),
    ];
    // The gate here is a layer, and does not know its peer.
    let rows = rows.iter().flatten().filter(|row| !row[1].contains("`Peer`"));
    for name in rows.flat_map(|row| names(&row[0])) {
        // These need a setting.
        if !matches!(&*name, "X-Forwarded-Email" | "X-Forwarded-Access-Token") {
            assert!(received.contains(&format!("{}\n", name.to_lowercase())), "{name} is not in\n{received}");
        }
    }
    assert!(!received.contains("x-forwarded-access-token"), "{received}");
}

/// The first cells of the rows of a table of codes or events.
fn documented(name: &str, heading: &str, column: usize) -> BTreeSet<String> {
    page(name).rows(heading).iter().flat_map(|row| names(&row[column])).collect()
}

#[test]
fn the_codes_are_those_of_the_sources() {
    let documented = documented("docs/reference/refusals.md", "## Codes", 1);
    let sources = sources();
    for code in &documented {
        let literal = format!("\"{code}\"");
        assert!(sources.iter().any(|text| text.contains(&literal)), "no source has the code {code}");
    }
    // Every refusal's code, which one function names.
    let function =
        sources.iter().find_map(|text| text.split_once("pub fn code(&self) -> &'static str")).unwrap().1;
    let (body, _) = function.split_once("\n    }\n").unwrap();
    let codes: Vec<&str> = body.split('"').skip(1).step_by(2).collect();
    assert!(codes.len() > 10, "{codes:?}");
    for code in codes {
        assert!(documented.contains(code), "{code} is not in docs/reference/refusals.md");
    }
}

#[test]
fn the_events_of_the_log_are_those_of_the_sources() {
    let documented = documented("docs/reference/logging.md", "## Events", 0);
    let sources = sources();
    let events = sources.iter().flat_map(|text| text.split("event = \"").skip(1));
    let events: BTreeSet<String> = events.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
    assert_eq!(documented, events);
}

#[test]
fn the_readme_compares_with_figures_of_the_page_about_performance() {
    let performance = std::fs::read_to_string(root().join("docs/explanations/performance.md")).unwrap();
    let rows = page("README.md").rows("## How it compares");
    let last = rows.iter().find(|row| row[0].starts_with("CPU")).unwrap();
    for figure in [&last[2], &last[4]] {
        assert!(performance.contains(&format!("{figure} times")), "{figure} is not on the page");
    }
}
