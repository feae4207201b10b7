//! What stands in the README.

use std::path::Path;

use huggate::config::{Config, Environment};
use huggate::keys::Secret;

const README: &str = include_str!("../../README.md");

/// The fenced blocks of the README: what stands after the fence, and the text.
pub(crate) fn blocks() -> Vec<(&'static str, String)> {
    let mut blocks: Vec<(&str, String)> = Vec::new();
    let (mut open, mut indent) = (false, 0);
    for line in README.lines() {
        match (open, line.trim_start().strip_prefix("```")) {
            (true, Some("")) => open = false,
            (false, Some(info)) => {
                blocks.push((info, String::new()));
                // Blocks inside a list are set in.
                (open, indent) = (true, line.len() - line.trim_start().len());
            }
            (true, _) => {
                let (_, text) = blocks.last_mut().unwrap();
                text.push_str(line.get(indent..).unwrap_or_default());
                text.push('\n');
            }
            (false, None) => {}
        }
    }
    assert!(!open, "a block of the README does not end");
    blocks
}

/// The text between a file's marks.
fn marked(file: &str) -> &str {
    let (_, rest) = file.split_once("[verify]\n").unwrap();
    let (region, _) = rest.split_once("[/verify]").unwrap();
    // The comment sign of the mark's line.
    region.rsplit_once('\n').unwrap().0
}

pub(crate) fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("session-secret"), Secret::generate() + "\n").unwrap();
    std::fs::write(folder.path().join("client-secret"), "oauth_app_secret_0123456789\n").unwrap();
    let path = folder.path().join("config.toml");
    Config::parse(text, path.to_str().unwrap(), &Environment::default()).map_err(|error| error.to_string())
}

/// What a part of a configuration says, over what the whole one says.
fn merge(whole: &mut toml::Table, part: toml::Table) {
    for (key, value) in part {
        match (whole.get_mut(&key), value) {
            (Some(toml::Value::Table(whole)), toml::Value::Table(part)) => merge(whole, part),
            (_, value) => _ = whole.insert(key, value),
        }
    }
}

/// The README's first configuration with a part of another one.
pub(crate) fn whole_with(part: &str) -> String {
    let mut all: toml::Table =
        blocks().into_iter().find(|(info, _)| *info == "toml").unwrap().1.parse().unwrap();
    merge(&mut all, part.parse().unwrap());
    all.to_string()
}

#[test]
fn every_configuration_loads() {
    let whole = blocks().into_iter().find(|(info, _)| *info == "toml").unwrap().1;
    assert_eq!(whole.lines().count(), 8, "the README promises eight lines");
    let mut parts = 0;
    for (info, text) in blocks() {
        let text = match info {
            "toml" => text,
            // A part is read with the rest of the first one around it.
            "toml part" => {
                parts += 1;
                whole_with(&text)
            }
            _ => continue,
        };
        load(&text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    }
    assert!(parts > 2, "{parts}");
}

#[test]
fn the_configurations_beside_other_proxies_load_and_trust_this_machine_alone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    for (proxy, file) in
        [("nginx", "app.conf"), ("traefik", "dynamic.yml"), ("caddy", "Caddyfile"), ("envoy", "envoy.yaml")]
    {
        assert!(root.join(proxy).join(file).is_file(), "{proxy}/{file}");
        let text = std::fs::read_to_string(root.join(proxy).join("config.toml")).unwrap();
        assert!(text.contains("trusted_proxies = [\"127.0.0.1\"]"), "{proxy}");
        for text in [&text, &text.replace("#[bearer]\n#hub", "[bearer]\nhub")] {
            let config = load(text).unwrap_or_else(|problems| panic!("{proxy}: {problems}"));
            assert_eq!(config.gate.public_url.as_str(), "https://app.example.com");
        }
    }
}

#[test]
fn the_environment_of_the_dockerfile_is_all_a_space_needs() {
    let dockerfile = blocks().into_iter().find(|(info, _)| *info == "dockerfile").unwrap().1;
    let set = dockerfile.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    let set = set.map(|(name, value)| (name, value.trim_matches('\'')));
    let space = [
        ("SPACE_HOST", "ada-app.hf.space"),
        ("OAUTH_CLIENT_ID", "id"),
        ("OAUTH_CLIENT_SECRET", "oauth_app_secret_0123456789abcdef"),
        ("OAUTH_SCOPES", "read-memberships"),
        ("OPENID_PROVIDER_URL", "https://huggingface.co"),
    ];
    let environment: Environment = set.chain(space).collect();
    let config = Config::parse("", "environment", &environment).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.gate.public_url.as_str(), "https://ada-app.hf.space");
    assert_eq!(config.upstream.default.to_string(), "http://127.0.0.1:7861");
}

#[test]
fn the_snippets_are_the_files() {
    for (info, file) in [
        ("python", include_str!("../../docs/verify/verify.py")),
        ("js", include_str!("../../docs/verify/verify.mjs")),
        ("rust", include_str!("../../examples/verify.rs")),
    ] {
        let region = marked(file).trim_end();
        let quoted = blocks().iter().any(|(known, text)| *known == info && text.trim_end() == region);
        assert!(quoted, "the README's {info} block is not\n{region}");
    }
}

#[test]
fn the_commands_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (_, text) = blocks().into_iter().next().unwrap();
    let commands: Vec<&str> = text.lines().filter_map(|line| line.split('#').next()).map(str::trim).collect();
    assert_eq!(commands, ["cargo run --release -- demo", "./scripts/test"]);
    assert!(root.join("scripts/test").is_file(), "scripts/test");

    let help = std::process::Command::new(env!("CARGO_BIN_EXE_huggate")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let named = README.lines().filter_map(|line| line.strip_prefix("| `huggate "));
    let named: Vec<&str> = named.filter_map(|rest| rest.split([' ', '`']).next()).collect();
    assert!(named.len() > 5, "{named:?}");
    for command in named {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in\n{help}");
    }
}

#[test]
fn links_to_files_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let links = README.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let mut files = 0;
    for link in links.filter(|link| !link.starts_with("http") && !link.starts_with('#')) {
        assert!(root.join(link).exists(), "{link}");
        files += 1;
    }
    assert!(files > 3, "{files}");
}
