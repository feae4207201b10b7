//! The commands of the pages: programs, subcommands, flags and files exist.

use std::collections::BTreeSet;
use std::process::Command;

use super::pages::{Block, all, page, root};

const GLOBAL: [&str; 5] = ["--config", "--log", "--log-format", "--help", "--version"];

/// Checks each command of a block; in a `console` block a line begins with `$`.
pub(crate) fn check(block: &Block) {
    let prompt = block.info == "console";
    let lines =
        block.text.lines().filter_map(|line| if prompt { line.strip_prefix("$ ") } else { Some(line) });
    let mut commands = 0;
    for line in lines {
        commands += check_line(line, &block.place);
    }
    assert!(commands > 0, "{}: no command", block.place);
}

/// Checks the commands of a line; returns how many there were.
pub(crate) fn check_line(line: &str, place: &str) -> usize {
    let line = line.split(" #").next().unwrap_or_default().trim();
    if line.is_empty() || line.starts_with('#') {
        return 0;
    }
    // A subshell, or the command whose output a variable gets.
    let parts = line.split(['(', ')', ';', '|', '&']).map(str::trim).filter(|part| !part.is_empty());
    let mut commands = 0;
    for part in parts {
        let words = words(part);
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .skip_while(|word| {
                *word == "export" || word.split_once('=').is_some_and(|(name, _)| is_variable(name))
            })
            .take_while(|word| !word.starts_with(['<', '>']))
            .collect();
        if let Some((program, arguments)) = words.split_first() {
            check_command(program, arguments, place);
            commands += 1;
        }
    }
    commands
}

fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Words as a shell makes them, as far as the pages need it.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut quote, mut inside) = (vec![String::new()], None, false);
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => words.last_mut().unwrap().push(c),
            None if c == '"' || c == '\'' => (quote, inside) = (Some(c), true),
            None if c.is_whitespace() => {
                if inside {
                    words.push(String::new());
                }
                inside = false;
            }
            None => {
                words.last_mut().unwrap().push(c);
                inside = true;
            }
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn check_command(program: &str, arguments: &[&str], place: &str) {
    match program {
        "huggate" => check_huggate(arguments, place),
        "cargo" => check_cargo(arguments, place),
        "curl" => {
            let url = arguments.iter().find(|argument| argument.starts_with("http"));
            let url = url.unwrap_or_else(|| panic!("{place}: curl without an address"));
            assert!(url::Url::parse(url).is_ok(), "{place}: {url}");
        }
        "node" => {
            let ["--test", file] = arguments else { panic!("{place}: node {arguments:?}") };
            assert!(root().join(file).is_file(), "{place}: {file} does not exist");
        }
        // Of the shell, or of Debian and PyPI.
        "umask" | "apt-get" | "pip" => {}
        script if script.contains('/') => check_script(script, arguments, place),
        other => panic!("{place}: nothing checks the command {other}"),
    }
}

fn check_script(script: &str, arguments: &[&str], place: &str) {
    let path = root().join(script);
    let mut text =
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{place}: {script}: {error}"));
    // It hands its arguments on.
    if script.ends_with("scripts/bench") {
        text.push_str(&std::fs::read_to_string(root().join("benches/compare/__main__.py")).unwrap());
    }
    use std::os::unix::fs::PermissionsExt;
    let mode = path.metadata().unwrap().permissions().mode();
    assert!(mode & 0o100 != 0, "{place}: {script} is not executable");
    for flag in arguments.iter().filter(|argument| argument.starts_with("--")) {
        assert!(text.contains(flag), "{place}: {script} does not know {flag}");
    }
}

fn check_cargo(arguments: &[&str], place: &str) {
    let manifest: toml::Table = std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let (cargo, program) = match arguments.iter().position(|argument| *argument == "--") {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, &[][..]),
    };
    let subcommand = cargo.first().unwrap_or_else(|| panic!("{place}: cargo without a subcommand"));
    let known = ["run", "build", "test", "bench", "install", "fmt", "clippy"];
    assert!(known.contains(subcommand), "{place}: cargo {subcommand}");
    for pair in cargo.windows(2) {
        let &[flag, value] = pair else { unreachable!("windows of two") };
        let exists = match flag {
            "--example" => root().join(format!("examples/{value}.rs")).is_file(),
            "--test" => has_target("tests", value),
            "--bench" => has_target("benches", value),
            "--features" => value.split(',').all(|name| manifest["features"].get(name).is_some()),
            _ => true,
        };
        assert!(exists, "{place}: cargo {subcommand} {flag} {value}");
    }
    if *subcommand == "run" && !cargo.contains(&"--example") {
        check_huggate(program, place);
    }
}

fn has_target(folder: &str, name: &str) -> bool {
    let folder = root().join(folder);
    folder.join(format!("{name}.rs")).is_file() || folder.join(name).join("main.rs").is_file()
}

fn check_huggate(arguments: &[&str], place: &str) {
    // A placeholder stands for no subcommand.
    let subcommand = arguments.first().filter(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
    let mut help = help(subcommand.copied()).unwrap_or_else(|| panic!("{place}: no command {subcommand:?}"));
    // `sessions revoke`: the options are those of the second word.
    if let [first, second, ..] = arguments
        && help.contains("Commands:")
        && second.bytes().all(|byte| byte.is_ascii_lowercase())
    {
        let output =
            Command::new(env!("CARGO_BIN_EXE_huggate")).args([first, second, &"--help"]).output().unwrap();
        assert!(output.status.success(), "{place}: no command {first} {second}");
        help = String::from_utf8(output.stdout).unwrap();
    }
    for flag in arguments.iter().filter(|argument| argument.starts_with("--")) {
        let flag = flag.split('=').next().unwrap_or_default();
        assert!(flags(&help).contains(flag), "{place}: {flag} is not in\n{help}");
    }
}

/// What `--help` prints, if there is such a command.
fn help(subcommand: Option<&str>) -> Option<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_huggate")).args(subcommand).arg("--help").output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn flags(help: &str) -> BTreeSet<&str> {
    let options = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    options.filter_map(|line| line.split([' ', ',']).find(|word| word.starts_with("--"))).collect()
}

#[test]
fn every_command_within_a_sentence_exists() {
    let mut commands = 0;
    for page in all() {
        for (line, code) in page.code() {
            let starts = ["huggate ", "cargo ", "./scripts/", "scripts/", ".ci/"];
            if starts.iter().any(|start| code.starts_with(start)) {
                commands += check_line(&code, &format!("{}:{line}", page.name));
            }
        }
    }
    assert!(commands > 20, "{commands}");
}

#[test]
fn the_page_about_commands_has_each_of_them_and_each_flag() {
    let reference = page("docs/reference/commands.md");
    let flags_in = |heading: &str| -> BTreeSet<String> {
        let cells = reference.rows(heading).into_iter().map(|row| row[0].clone());
        let flags = cells.flat_map(|cell| {
            let words = cell.split([' ', '`', ',']).filter(|word| word.starts_with("--"));
            words.map(str::to_owned).collect::<Vec<_>>()
        });
        flags.collect()
    };
    assert_eq!(flags_in("## Options of all commands"), GLOBAL.map(str::to_owned).into());

    let overview = help(None).unwrap();
    let (_, list) = overview.split_once("Commands:\n").unwrap();
    let (list, _) = list.split_once("\n\n").unwrap();
    let names = list.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    let names: BTreeSet<&str> = names.filter(|name| !name.is_empty() && *name != "help").collect();
    let rows = reference.rows("# Commands");
    let documented: BTreeSet<&str> =
        rows.iter().map(|row| row[0].trim_matches('`').split(' ').nth(1).unwrap()).collect();
    assert_eq!(documented, names);

    for name in names {
        let help = help(Some(name)).unwrap();
        let own: BTreeSet<String> =
            flags(&help).into_iter().filter(|flag| !GLOBAL.contains(flag)).map(str::to_owned).collect();
        if own.is_empty() {
            continue;
        }
        assert_eq!(flags_in(&format!("## huggate {name}")), own, "huggate {name}");
    }
}
