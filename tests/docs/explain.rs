//! `huggate explain` as a program: a session cookie, the files of cases, and the output
//! that the guide shows.

use std::process::Output;

use huggate::clock::Clock;
use huggate::config::Config;
use huggate::explain::Cases;
use huggate::explain::Who;
use huggate::{Gate, Route};
use serde_json::Value;
use tokio::process::Command;

use super::pages::blocks_of;
use super::snippets::{first, routes};
use super::world::{SESSION_SECRET, gate, hub, run, sign_in};

/// Runs `huggate explain` with the repository as its folder.
async fn explain(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_huggate"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("HUGGATE_CONFIG")
        .arg("explain")
        .args(arguments);
    run(&mut command, input).await
}

#[tokio::test]
async fn a_cookie_is_resolved_to_its_person() {
    let hub = hub(Clock::system()).await;
    let url = gate(&hub, Clock::system()).await;
    let cookies = sign_in(&format!("{url}/")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let config = format!(
        "public_url = \"{url}\"\nupstream = \"http://127.0.0.1:9\"\n[provider]\nclient_id = \"id\"\n\
         [session]\nsecret = \"{SESSION_SECRET}\"\n[access]\nallow = [{{ org = \"acme\", role = \"admin\" }}]\n"
    );
    std::fs::write(&path, config).unwrap();
    let config = ["--config", path.to_str().unwrap(), "--cookie", "-"];
    let output = explain(&[&config[..], &["/"]].concat(), &format!("Cookie: {cookies}\n")).await;
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    for line in
        ["\n  session   ada's, valid: started 2", "\n  decision  allowed: access.allow[0] lets them in\n"]
    {
        assert!(text.contains(line), "{text}");
    }
    // The output contains no part of the cookie.
    let value = cookies.split_once('=').unwrap().1.split(';').next().unwrap();
    let output = explain(&[&config[..], &["--json", "/"]].concat(), value).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains(&value[..20]), "{text}");
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["session"]["state"], "in_force");
    assert_eq!(document["session"]["username"], "ada");
    assert_eq!(document["decision"], "allow");
    assert_eq!(document["who"]["orgs"][0]["role"], "admin");
}

#[tokio::test]
async fn the_cases_of_the_repository_are_as_expected() {
    let output = explain(&["--config", "config.toml", "--cases", "docs/cases.toml"], "").await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.ends_with("\n9 cases, all as expected\n"), "{text}");
}

#[tokio::test]
async fn a_case_that_is_not_as_expected_is_a_failure_and_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.toml");
    std::fs::write(&path, "[[case]]\nurl = \"/\"\nwho = { user = \"dan\" }\nexpect = \"allow\"\n").unwrap();
    let path = path.to_str().unwrap();
    let output = explain(&["--config", "config.toml", "--cases", path], "").await;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().replace(path, "cases.toml"),
        "\
FAIL  GET     /                              dan        refuse, expected allow

cases.toml:1: GET /
  expected  allow, got refuse
  who       dan
  route     none: [access] decides
  decision  refused (403): no entry of access.allow lets them in

  no        access.allow[0]: a member of acme
              acme: not a member

1 case, 1 not as expected
"
    );
}

#[tokio::test]
async fn the_explanation_of_the_page_is_what_the_command_prints() {
    let folder = tempfile::tempdir().unwrap();
    let config = first().replace("http://127.0.0.1:4180", "https://app.example.com") + &routes();
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    std::fs::write(folder.path().join("session-secret"), SESSION_SECRET).unwrap();
    for block in blocks_of("text explain") {
        let line = ["explain", "--user", "ben", "--org", "acme:read", "POST", "/models/new"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_huggate"));
        command.current_dir(folder.path()).env_remove("HUGGATE_CONFIG").args(line);
        let output = run(&mut command, "").await;
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(block.text.trim_end(), printed.trim_end(), "{}", block.place);
    }
}

#[track_caller]
pub(crate) fn as_expected(config: Config, cases: &str) {
    let gate = Gate::new(config.gate, Clock::system()).unwrap();
    let routes: &[Route] = gate.routes();
    let cases = Cases::parse(cases, "cases.toml", routes).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(!cases.list.is_empty());
    for case in cases.list {
        let explanation =
            gate.explain(&case.request, case.who.as_ref().map_or(Who::Nobody, Who::TestSubject));
        assert_eq!(explanation.outcome, case.expect, "{explanation:#?}");
        assert!(case.route.is_none_or(|route| route == explanation.route), "{explanation:#?}");
    }
}
