//! The configuration, from text to settings and problems.

mod access;
mod bearer;
mod environment;
mod problems;
mod reference;
mod robustness;
mod secrets;
mod space;
mod together;

use super::consumer::Consumer;
use super::{Config, Environment, Parts, Problems};

/// A session secret for tests.
const SECRET: &str = "8f3a1c5e7d9b0246813579acefbd0246f1e2d3c4b5a697887766554433221100";

/// Reads `text` for the layer, which needs no proxy settings.
fn read(text: &str, environment: &Environment) -> Result<Parts, Problems> {
    super::read(text, "config.toml", environment, Consumer::Layer)
}

/// A valid file with `changes`: each changed line replaces the default line with the same
/// beginning, or is added at the top.
fn with(changes: &str) -> String {
    let mut text = String::new();
    let begins = |start: &str| changes.lines().any(|line| line.trim_start().starts_with(start));
    let first_table = if changes.starts_with('[') { Some(0) } else { changes.find("\n[").map(|at| at + 1) };
    let (top, tables) = changes.split_at(first_table.unwrap_or(changes.len()));
    text.push_str(top);
    text.push('\n');
    if !begins("public_url") {
        text.push_str("public_url = \"https://app.example.com\"\n");
    }
    text.push_str(tables);
    text.push('\n');
    if !begins("[provider]") {
        text.push_str("[provider]\nclient_id = \"id\"\n");
    }
    if !begins("[session]") {
        text.push_str(&format!("[session]\nsecret = \"{SECRET}\"\n"));
    }
    if !begins("[access]") {
        text.push_str("[access]\nallow = [{ org = \"acme\" }]\n");
    }
    text
}

/// The problems of `text`, formatted.
fn problems(text: &str, environment: &Environment) -> String {
    match read(text, environment) {
        Ok(_) => String::new(),
        Err(problems) => problems.to_string(),
    }
}

#[tokio::test]
async fn a_gate_is_created_from_a_file_while_the_provider_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gate.toml");
    // Bound but not listening: connections are refused, and no other test gets the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = socket.local_addr().unwrap().port();
    let provider = format!("[provider]\nclient_id = \"id\"\nissuer = \"http://127.0.0.1:{port}\"\n");
    std::fs::write(&file, with(&provider)).unwrap();
    let gate = crate::Gate::from_config(&file).await;
    assert!(gate.is_ok(), "{gate:?}");
    let none = crate::Gate::from_config(folder.path().join("none.toml")).await;
    assert!(none.is_err_and(|error| error.to_string().ends_with("none.toml: does not exist")));
}

#[test]
fn without_a_file_the_environment_must_have_settings() {
    let folder = tempfile::tempdir().unwrap();
    let usual = folder.path().join("config.toml");
    let find = |environment: &[(&str, &str)]| {
        let found = super::source::find(None, &usual, &environment.iter().copied().collect());
        found.map(|found| (found.name, found.file)).map_err(|problems| problems.to_string())
    };
    let nothing = find(&[("HUGGATE_LOG", "debug"), ("SPACE_HOST", "ada-app.hf.space")]).unwrap_err();
    assert_eq!(
        nothing,
        format!(
            "{}: does not exist, and no HUGGATE_ variables are set; name a file with \
             --config, or start from the annotated config.toml in huggate's repository",
            usual.display()
        )
    );
    for enough in [
        [("HUGGATE_UPSTREAM", "http://127.0.0.1:7860"), ("PATH", "/bin")],
        [("SPACE_HOST", "ada-app.hf.space"), ("OAUTH_CLIENT_ID", "id")],
    ] {
        assert_eq!(find(&enough), Ok(("environment".to_owned(), None)));
    }
    std::fs::write(&usual, "").unwrap();
    assert_eq!(find(&[]), Ok((usual.display().to_string(), Some(usual.clone()))));
    std::fs::write(&usual, b"\xff").unwrap();
    assert!(find(&[]).is_err_and(|message| message.ends_with("cannot be read: it is not UTF-8")));
}
