//! Secrets: where they are read from, and that they are never shown.

use super::*;
use crate::config::EXAMPLE_SECRET;
use crate::keys::Secret;

const OTHER: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn session(rest: &str) -> String {
    with(&format!("[session]\n{rest}\n"))
}

#[test]
fn secrets_are_read_from_lists_and_files() {
    let wanted = [Secret::parse(SECRET).unwrap(), Secret::parse(OTHER).unwrap()];
    let secrets = |text: &str, file: &str| {
        super::super::read(text, file, &Environment::default(), Consumer::Layer)
            .unwrap_or_else(|problems| panic!("{problems}"))
            .gate
            .session
            .secrets
    };
    assert_eq!(secrets(&session(&format!("secret = [\"{SECRET}\", \"{OTHER}\"]")), "config.toml"), wanted);

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secrets"), format!("{SECRET}\n{OTHER}\r\n\n")).unwrap();
    let file = folder.path().join("config.toml").display().to_string();
    assert_eq!(
        secrets(&session("secret_file = \"secrets\""), &file),
        wanted,
        "relative to the file's folder"
    );
}

#[test]
fn problems_of_secrets_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("empty"), "\n").unwrap();
    std::fs::write(at("short"), "abcd\n").unwrap();
    std::fs::write(at("long"), "a".repeat(70_000)).unwrap();
    let long = at("long");
    for (rest, expected) in [
        (String::new(), "session.secret: is missing; generate one with `huggate secret`".to_owned()),
        ("secret = 5".to_owned(), "session.secret: must be a string in quotation marks".to_owned()),
        ("secret = []".to_owned(), "session.secret: is an empty list".to_owned()),
        (
            "secret = \"tooshort\"".to_owned(),
            "session.secret: has 6 bytes; at least 32 random bytes are required; generate one with `huggate secret`"
                .to_owned(),
        ),
        (
            format!("secret = [\"{SECRET}\", \"not a secret!\"]"),
            "session.secret[1]: is neither base64 nor hex; generate one with `huggate secret`".to_owned(),
        ),
        (
            format!("secret = \"{EXAMPLE_SECRET}\""),
            "session.secret: is the published example, with which anybody can forge sessions; generate one with `huggate secret`"
                .to_owned(),
        ),
        ("secret_file = \"/no/such\"".to_owned(), "session.secret_file: \"/no/such\" does not exist".to_owned()),
        (format!("secret_file = {:?}", at("empty")), format!("session.secret_file: {:?} is empty", at("empty"))),
        (
            format!("secret_file = {:?}", at("short")),
            "session.secret_file: has 2 bytes; at least 32 random bytes are required; generate one with `huggate secret`"
                .to_owned(),
        ),
        (format!("secret_file = {long:?}"), format!("session.secret_file: {long:?} is too long to be a secret")),
        (
            format!("secret_file = {:?}", at("")),
            format!("session.secret_file: {:?} cannot be read: is a directory", at("")),
        ),
    ] {
        let found = problems(&session(&rest), &Environment::default());
        let found = found.split_once(": ").map_or("", |(_, rest)| rest);
        assert_eq!(found, expected, "{rest}");
    }
}

#[test]
fn no_problem_and_no_debug_output_shows_a_secret() {
    // These are invalid or weak; each leads to a problem or to settings.
    let secrets = ["hunter2hunter2", "oauth_app_secret_Zm9vYmFy", "s3cr3t pässword", SECRET];
    for secret in secrets {
        let texts = [
            session(&format!("secret = \"{secret}\"")),
            session(&format!("secret = [\"{secret}\", \"{secret}\"]")),
            session(&format!("secret = [[\"{secret}\"]]")),
            session(&format!("secret = {{ a = \"{secret}\" }}")),
            session(&format!("secrets = \"{secret}\"")),
            session(&format!("secret = \"{secret}\"\nsecret_file = \"x\"")),
            session(&format!("secret = \"{secret}")),
            session(&format!("secret = {secret}")),
            session(&format!("secret = [\n\"{secret}\",\n\"{secret}\n]")),
            session(&format!("secret = [\n\"{secret}\"\n\"{secret}\"\n]")),
            session(&format!("secret = \"\"\"\n{secret}\n")),
            session(&format!("secret \"{secret}\"")),
            session(&format!("s\"ecret = \"{secret}\"")),
            with(&format!("session = \"{secret}\"")),
            with(&format!("provider = \"{secret}\"")),
            with(&format!("client_secret = \"{secret}\"")),
            with(&format!("public_url = \"https://me:{secret}@example.com\"")),
            with(&format!("upstream = \"http://me:{secret}@example.com\"")),
            with(&format!("[[route]]\npath = \"/x\"\nupstream = \"http://me:{secret}@example.com\"")),
            with(&format!("[provider]\nclient_id = \"id\"\nissuer = \"https://me:{secret}@example.com\"")),
            with(&format!("[provider]\nclient_id = \"id\"\nclient_secret = \"{secret}\"")),
            with(&format!("[provider]\nclient_id = \"id\"\nclient_secret = [\"{secret}\"]")),
            with(&format!("[provider]\nclient_id = \"id\"\nclient_secret = \"{secret}")),
            with(&format!("[provider]\nclient_id = \"id\"\nclientsecret = \"{secret}\"")),
            with(&format!(
                "[provider]\nclient_id = \"id\"\nclient_secret = \"{secret}\"\nclient_secret_file = \"x\""
            )),
        ];
        for text in texts {
            for output in outputs(&text, &Environment::default()) {
                assert!(!output.contains(secret), "{output}\n\nof\n{text}");
            }
        }
        for name in [
            "HUGGATE_SESSION__SECRET",
            "HUGGATE_SESSION__SECRETS",
            "HUGGATE_PROVIDER__CLIENT_SECRET",
            "HUGGATE_PROVIDER__SECRET",
            "HUGGATE_SESSION",
        ] {
            let environment = Environment::from([(name, secret)]);
            let mut outputs = outputs(&with(""), &environment);
            outputs.push(format!("{environment:?}"));
            assert!(outputs.iter().all(|output| !output.contains(secret)), "{name}: {outputs:?}");
        }
    }
}

/// Everything that can be printed about a configuration.
fn outputs(text: &str, environment: &Environment) -> Vec<String> {
    match read(text, environment) {
        Ok(parts) => vec![format!("{:?}", parts.gate)],
        Err(problems) => vec![format!("{problems:?}"), problems.to_string()],
    }
}
