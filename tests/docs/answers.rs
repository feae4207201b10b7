//! The answers on the pages are those of a running gate.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use huggate::clock::Clock;
use huggate::identity::{AssertionSettings, Claim, HeaderSettings};
use reqwest::header::COOKIE;
use serde_json::Value;

use super::pages::{Block, blocks_of, root};
use super::world::{CLIENT, assertion, gate, http, hub, sign_in, sign_in_as};

/// The kinds of answers that the tests below compare.
pub(crate) const COMPARED: [&str; 4] =
    ["json access_denied", "json assertion", "json login_required", "json userinfo"];

/// Compares every answer of a kind with what was `told`; the addresses of the gate
/// and of its stand-in differ, and so does what `varies`.
fn compare(info: &str, told: &Value, origin: &str, varies: &[&str]) {
    for Block { place, text, .. } in blocks_of(info) {
        let documented: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
        let told: Value =
            serde_json::from_str(&told.to_string().replace(origin, "https://app.example.com")).unwrap();
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&documented), keys(&told), "{place}");
        for (key, value) in documented.as_object().unwrap() {
            let same_kind = std::mem::discriminant(value) == std::mem::discriminant(&told[key]);
            assert!(same_kind, "{place}: {key} is {value}, and really {}", told[key]);
            assert!(
                varies.contains(&key.as_str()) || *value == told[key],
                "{place}: {key} is really {}",
                told[key]
            );
        }
    }
}

#[tokio::test]
async fn nobody_is_told_where_to_sign_in() {
    let hub = hub(Clock::system()).await;
    let url = gate(&hub, Clock::system()).await;
    let told = http().get(&url).send().await.unwrap().json().await.unwrap();
    compare("json login_required", &told, &url, &[]);
}

#[tokio::test]
async fn userinfo_says_who_is_asking() {
    let hub = hub(Clock::system()).await;
    let url = gate(&hub, Clock::system()).await;
    let cookies = sign_in(&format!("{url}/")).await;
    let answer = http().get(format!("{url}/oauth2/userinfo")).header(COOKIE, cookies).send().await.unwrap();
    compare("json userinfo", &answer.json().await.unwrap(), &url, &["sub", "picture"]);
}

#[tokio::test]
async fn the_assertion_has_these_claims() {
    let hub = hub(Clock::system()).await;
    let url = gate(&hub, Clock::system()).await;
    let cookies = sign_in(&format!("{url}/")).await;
    let token = assertion(&url, url.strip_prefix("http://").unwrap(), &cookies).await;
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let told: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(told["exp"].as_u64().unwrap() - told["iat"].as_u64().unwrap(), 300);
    compare("json assertion", &told, &url, &["sub", "sid", "iat", "nbf", "exp", "jti", "email"]);
}

/// The names in the first column of the tables of a section, without their backticks.
fn documented(page_name: &str, heading: &str) -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join(page_name)).unwrap();
    let section = text.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("{heading}"));
    let section = section.split("\n## ").next().unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_lowercase).collect()
}

/// A person in 300 organisations has every optional field of the answers.
#[tokio::test]
async fn every_field_of_userinfo_and_every_claim_is_in_the_tables() {
    let hub = hub(Clock::system()).await;
    let url = gate(&hub, Clock::system()).await;
    let orgs: Vec<String> = hub
        .users()
        .into_iter()
        .filter(|user| user.username == "eve")
        .flat_map(|user| user.orgs)
        .map(|org| org.slug)
        .collect();
    hub.consent("eve", CLIENT.0, &orgs.iter().map(String::as_str).collect::<Vec<_>>());
    let cookies = sign_in_as("eve", &format!("{url}/")).await;
    let ask = http().get(format!("{url}/oauth2/userinfo")).header(COOKIE, &cookies);
    let userinfo: Value = ask.send().await.unwrap().json().await.unwrap();
    let token = assertion(&url, url.strip_prefix("http://").unwrap(), &cookies).await;
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    for (told, page_name, heading, optional) in [
        (userinfo, "docs/reference/endpoints.md", "userinfo", vec![]),
        // Without the scope `email` nobody has one.
        (claims, "docs/reference/headers.md", "The assertion", vec!["email"]),
    ] {
        assert_eq!(told["groups_truncated"], true, "{told}");
        let mut told: BTreeSet<String> = told.as_object().unwrap().keys().cloned().collect();
        told.extend(optional.into_iter().map(str::to_owned));
        assert_eq!(documented(page_name, heading), told, "{page_name}, {heading}");
    }
}

#[test]
fn every_header_that_identifies_the_person_is_in_the_table() {
    let headers = HeaderSettings::default();
    let names = headers.claims.iter().map(|(name, _)| name.as_str().to_owned());
    let assertion = AssertionSettings::default().headers;
    let table = documented("docs/reference/headers.md", "What the app receives");
    for name in names.chain(assertion.iter().map(|name| name.as_str().to_owned())) {
        assert!(table.contains(&name), "{name} is not in {table:?}");
    }
    let configuration = std::fs::read_to_string(root().join("docs/reference/configuration.md")).unwrap();
    for claim in Claim::ALL {
        assert!(configuration.contains(&format!("`{}`", claim.as_str())), "{}", claim.as_str());
    }
}

#[tokio::test]
async fn a_refusal_says_what_is_missing() {
    let hub = hub(Clock::system()).await;
    let url = gate(&hub, Clock::system()).await;
    let cookies = sign_in_as("ben", &format!("{url}/")).await;
    let answer = http().get(format!("{url}/admin")).header(COOKIE, cookies).send().await.unwrap();
    assert_eq!(answer.status(), http::StatusCode::FORBIDDEN);
    compare("json access_denied", &answer.json().await.unwrap(), &url, &[]);
}
