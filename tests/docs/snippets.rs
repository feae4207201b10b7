//! Every fenced block is checked: what its info says decides how.

use std::path::Path;

use huggate::config::{Config, Environment};
use huggate::keys::Secret;
use huggate::store::StoreLocation;

use super::commands;
use super::pages::{Block, all, blocks, blocks_of, page, root};
use super::{answers, explain};

/// The texts between a file's marks, without the indentation that their lines share.
fn marked(file: &str, mark: &str) -> Vec<String> {
    let (open, close) = (format!("[{mark}]\n"), format!("[/{mark}]"));
    let regions = file.split(&open).skip(1).map(|rest| {
        let (region, _) = rest.split_once(&close).unwrap();
        // The comment sign of the mark's line.
        let region = region.rsplit_once('\n').unwrap().0;
        let lines = || region.lines().filter(|line| !line.is_empty());
        let indent = lines().map(|line| line.len() - line.trim_start().len()).min().unwrap();
        let lines = region.lines().map(|line| line.get(indent..).unwrap_or_default());
        lines.collect::<Vec<_>>().join("\n")
    });
    regions.collect()
}

pub(crate) fn load(text: &str) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("session-secret"), Secret::generate() + "\n").unwrap();
    std::fs::write(folder.path().join("client-secret"), "oauth_app_secret_0123456789\n").unwrap();
    let path = folder.path().join("config.toml");
    Config::parse(text, path.to_str().unwrap(), &Environment::default()).map_err(|error| error.to_string())
}

/// Puts what a part of a configuration says over what the whole one says.
fn merge(whole: &mut toml::Table, part: toml::Table) {
    for (key, value) in part {
        match (whole.get_mut(&key), value) {
            (Some(toml::Value::Table(whole)), toml::Value::Table(part)) => merge(whole, part),
            (_, value) => _ = whole.insert(key, value),
        }
    }
}

/// The README's configuration.
pub(crate) fn first() -> String {
    page("README.md").blocks.into_iter().find(|block| block.info == "toml").unwrap().text
}

/// The README's configuration with a part of another one.
pub(crate) fn whole_with(part: &str) -> String {
    let mut all: toml::Table = first().parse().unwrap();
    merge(&mut all, part.parse().unwrap());
    all.to_string()
}

/// The routes of the guide, which other pages refer to.
pub(crate) fn routes() -> String {
    let blocks = page("docs/guides/routes.md").blocks;
    blocks.into_iter().find(|block| block.text.contains("/models/**")).unwrap().text
}

fn loads(block: &Block, text: &str) {
    load(text).unwrap_or_else(|problems| panic!("{}: {problems}\n{text}", block.place));
}

/// A dependency on huggate names features that exist.
fn depends(block: &Block) {
    let snippet: toml::Table = block.text.parse().unwrap();
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let table = snippet.get("dev-dependencies").unwrap_or_else(|| &snippet["dependencies"]);
    let features = table["huggate"]["features"].as_array().unwrap();
    for feature in features.iter().map(|feature| feature.as_str().unwrap()) {
        assert!(manifest["features"].get(feature).is_some(), "{}: no feature {feature}", block.place);
    }
}

/// A doc test compiles it: `src/lib.rs` includes the page.
fn compiles(block: &Block) {
    let (page, _) = block.place.split_once(':').unwrap();
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    assert!(lib.contains(&format!("include_str!(\"../{page}\")")), "{}: not in src/lib.rs", block.place);
}

/// It is a region of a program that the tests run.
fn is_marked(block: &Block, file: &str, mark: &str) {
    let text = std::fs::read_to_string(root().join(file)).unwrap();
    let regions = marked(&text, mark);
    let is_one = regions.iter().any(|region| region.trim_end() == block.text.trim_end());
    assert!(is_one, "{}: not as in {file}, which has {regions:#?}", block.place);
}

/// It is a part of the crate outside of the workspace, which has tests of its own.
fn is_of_the_service(block: &Block) {
    let (_, file) = block.info.split_once(' ').unwrap();
    let text = std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(text.contains(&block.text), "{}: not as in {file}", block.place);
}

/// The unit runs the program, with options that it has.
fn is_a_unit(block: &Block) {
    let value = |key: &str| {
        let line = block.text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("{}: no {key}", block.place))
    };
    commands::check_line(value("ExecStart").trim_start_matches("/usr/local/bin/"), &block.place);
    assert_eq!(value("Type"), "notify");
    assert!(value("ExecReload").ends_with("-HUP $MAINPID"));
}

/// The step's commands exist.
fn is_a_workflow(block: &Block) {
    let (_, script) = block.text.split_once("run: |\n").unwrap();
    let commands: usize = script.lines().map(|line| commands::check_line(line, &block.place)).sum();
    assert_eq!(commands, 2, "{}", block.place);
}

fn is_a_space(block: &Block) {
    for line in ["sdk: docker", "hf_oauth: true", "  - read-memberships"] {
        assert!(block.text.lines().any(|found| found == line), "{}: no {line}", block.place);
    }
}

/// The environment of the Dockerfile and that of a Space are a configuration.
fn configures_a_space(block: &Block) {
    let set = block.text.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
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
    commands::check_line("huggate serve", &block.place);
    assert!(block.text.contains("exec huggate serve"), "{}", block.place);
}

/// A subject and a body as CONTRIBUTING asks for them.
fn is_a_commit(block: &Block) {
    let mut lines = block.text.lines();
    let subject = lines.next().unwrap();
    let (area, what) = subject.split_once(": ").unwrap();
    assert!(root().join("src").join(area).exists(), "{}: {area}", block.place);
    assert!(what.starts_with(char::is_lowercase) && !what.ends_with('.'), "{}", block.place);
    assert_eq!(lines.next(), Some(""), "{}", block.place);
    assert!(lines.next().is_some(), "{}: no body", block.place);
}

/// What the text before an answer promises; the answer itself is compared by
/// the tests of `answers` and `explain`.
fn is_compared(block: &Block, infos: &[&str]) {
    assert!(infos.contains(&block.info.as_str()), "{}: nothing checks ```{}", block.place, block.info);
}

#[test]
fn every_block_is_checked() {
    let mut checked = 0;
    for block in blocks() {
        match block.info.as_str() {
            "sh" | "console" => commands::check(&block),
            "toml" => loads(&block, &block.text),
            // A part is read with the README's configuration around it.
            "toml part" => loads(&block, &whole_with(&block.text)),
            "toml cases" => explain::as_expected(load(&whole_with(&routes())).unwrap(), &block.text),
            "toml dependencies" => depends(&block),
            "rust,no_run" => compiles(&block),
            // Its tests, which cargo runs with all others.
            "rust" if block.place.starts_with("docs/guides/testing.md:") => {
                is_marked(&block, "examples/testing.rs", "guide");
            }
            "rust" => is_marked(&block, "examples/verify.rs", "verify"),
            info if info.contains(" tests/outside/") => is_of_the_service(&block),
            "js" => is_marked(&block, "docs/verify/verify.mjs", "verify"),
            "python" if block.text.contains("jwt.decode") => {
                is_marked(&block, "docs/verify/verify.py", "verify");
            }
            // Parsed below, with Python itself.
            "python" => assert!(block.text.contains("/v1\""), "{}", block.place),
            "dockerfile" => configures_a_space(&block),
            "yaml space" => is_a_space(&block),
            "yaml workflow" => is_a_workflow(&block),
            "ini" => is_a_unit(&block),
            "text commit" => is_a_commit(&block),
            "text diagram" => assert!(block.text.contains('→'), "{}", block.place),
            // The tests of the Redis store sign in as this user.
            "text acl" => assert!(block.text.starts_with("ACL SETUSER"), "{}", block.place),
            info if info.starts_with("json ") => is_compared(&block, &answers::COMPARED),
            _ => is_compared(&block, &["text explain"]),
        }
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn the_whole_service_is_on_its_page() {
    let page = page("docs/guides/embedding.md");
    let folder = "tests/outside";
    let mut files = vec![format!("{folder}/Cargo.toml")];
    for part in ["src", "tests"] {
        let entries = std::fs::read_dir(root().join(folder).join(part)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        files.extend(names.map(|name| format!("{folder}/{part}/{name}")));
    }
    for file in files {
        let is_of_file = |block: &&Block| block.info.split_once(' ').is_some_and(|(_, name)| name == file);
        let parts: Vec<&str> = page.blocks.iter().filter(is_of_file).map(|block| &*block.text).collect();
        let text = std::fs::read_to_string(root().join(&file)).unwrap();
        // Parts follow each other, with an empty line between them.
        assert_eq!(parts.join("\n"), text, "docs/guides/embedding.md does not have {file} as it is");
    }
}

#[test]
#[ignore = "needs python3: run ./scripts/test"]
fn every_python_block_is_python() {
    for block in blocks_of("python") {
        let parse = "import ast, sys; ast.parse(sys.argv[1])";
        let status = std::process::Command::new("python3").args(["-c", parse, &block.text]).status().unwrap();
        assert!(status.success(), "{}", block.place);
    }
}

#[test]
fn the_readme_is_short_and_begins_with_the_two_commands() {
    let readme = page("README.md");
    let lines = std::fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 250, "{lines} lines");
    let commands = readme.blocks[0].text.lines().filter_map(|line| line.split('#').next()).map(str::trim);
    assert_eq!(commands.collect::<Vec<_>>(), ["cargo run --release -- demo", "./scripts/test"]);
    assert_eq!(first().lines().count(), 8, "the README promises eight lines");
    let layer = readme.blocks.iter().find(|block| block.info == "rust,no_run").unwrap();
    let (_, body) = layer.text.split_once("{\n").unwrap();
    assert!(body.lines().count() <= 11, "the README promises ten lines");
}

#[test]
fn the_configurations_beside_other_proxies_load_and_trust_this_machine_alone() {
    let deploy = root().join("deploy");
    for (proxy, file) in
        [("nginx", "app.conf"), ("traefik", "dynamic.yml"), ("caddy", "Caddyfile"), ("envoy", "envoy.yaml")]
    {
        assert!(deploy.join(proxy).join(file).is_file(), "{proxy}/{file}");
        let text = std::fs::read_to_string(deploy.join(proxy).join("config.toml")).unwrap();
        assert!(text.contains("trusted_proxies = [\"127.0.0.1\"]"), "{proxy}");
        for text in [&text, &text.replace("#[bearer]\n#hub", "[bearer]\nhub")] {
            let config = load(text).unwrap_or_else(|problems| panic!("{proxy}: {problems}"));
            assert_eq!(config.gate.public_url.as_str(), "https://app.example.com");
        }
    }
}

#[test]
fn the_configuration_of_replicas_loads_and_their_store_is_shared() {
    let folder = root().join("deploy/replicas");
    let text = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    let with_user = text.replace("#[session.redis]\n#username", "[session.redis]\nusername");
    let with_user = with_user.replace("#password_file = \"redis-password\"", "password = \"a password\"");
    assert!(with_user.contains("\nusername") && with_user.contains("\npassword"), "{with_user}");
    for text in [&text, &with_user] {
        let config = load(text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.gate.public_url.as_str(), "https://app.example.com");
        assert!(matches!(config.gate.session.store_location, Some(StoreLocation::Redis(_))));
    }
    let nginx = std::fs::read_to_string(folder.join("app.conf")).unwrap();
    let listen = text.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap();
    assert!(nginx.contains(&format!("server {} max_fails=0;", listen.trim_matches('"'))), "{listen}");
    // What the guide says of nginx is what nginx is told.
    for row in page("docs/guides/replicas.md").rows("## What nginx tries again") {
        let setting = row[0].trim_matches('`');
        if setting.starts_with("proxy_") || setting.starts_with("max_fails") {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
            assert!(words(&nginx).contains(&words(setting)), "{setting}");
        }
    }
}

#[test]
fn code_within_a_sentence_ends_on_its_line() {
    for page in all() {
        for (line, text) in page.prose {
            assert!(text.matches('`').count().is_multiple_of(2), "{}:{line}: {text}", page.name);
        }
    }
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/index.md").is_file());
}
