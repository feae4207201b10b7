//! The three verifiers accept the gate's assertion and refuse every other.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use huggate::clock::Clock;
use serde_json::Value;
use tokio::process::Command;

use super::world::{OTHER_HOST, assertion, example, gate, hub, run, sign_in};

#[tokio::test]
async fn in_rust() {
    accepts_only_the_gates_assertion(|| Command::new(example("verify"))).await;
}

#[tokio::test]
#[ignore = "needs node: run ./scripts/test"]
async fn in_node() {
    accepts_only_the_gates_assertion(|| script("node", "docs/verify/verify.mjs")).await;
}

#[tokio::test]
#[ignore = "needs python3 with PyJWT: run ./scripts/test"]
async fn in_python() {
    let python = std::env::vars().find(|(name, _)| name == "TEST_PYTHON");
    let python = python.map_or("python3".to_owned(), |(_, path)| path);
    accepts_only_the_gates_assertion(|| script(&python, "docs/verify/verify.py")).await;
}

fn script(interpreter: &str, path: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(path).current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

async fn accepts_only_the_gates_assertion(verifier: impl Fn() -> Command) {
    let now = Clock::system().now();
    let hub_now = hub(Clock::system()).await;
    let issuer = gate(&hub_now, Clock::system()).await;
    let host = issuer.strip_prefix("http://").unwrap();
    let cookies = sign_in(&format!("{issuer}/")).await;
    let good = assertion(&issuer, host, &cookies).await;
    let ask = async |issuer: &str, audience: &str, assertion: &str| {
        let answer = run(verifier().args([issuer, audience]), assertion).await;
        let (stdout, stderr) = (String::from_utf8(answer.stdout), String::from_utf8(answer.stderr));
        match answer.status.success() {
            true => Ok(stdout.unwrap()),
            false => Err(stderr.unwrap()),
        }
    };

    let claims = ask(&issuer, &issuer, &good).await.unwrap();
    let claims: Value = serde_json::from_str(&claims).unwrap();
    assert_eq!(claims["preferred_username"], "ada");
    assert_eq!(claims["iss"], issuer.as_str());
    assert_eq!(claims["groups"], serde_json::json!(["acme", "acme:admin"]));

    // An assertion for the app at another host of this gate.
    let elsewhere = assertion(&issuer, OTHER_HOST, &cookies).await;
    let other_origin = format!("http://{OTHER_HOST}");
    ask(&issuer, &other_origin, &elsewhere).await.unwrap();
    let why = ask(&issuer, &issuer, &elsewhere).await.unwrap_err();
    assert!(why.contains("InvalidAudience") || why.contains(&other_origin), "{why}");

    // A payload that was changed after it was signed.
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    let payload = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let forged = URL_SAFE_NO_PAD.encode(payload.replace("\"ada\"", "\"eve\""));
    let why = ask(&issuer, &issuer, &format!("{header}.{forged}.{signature}")).await.unwrap_err();
    assert!(why.to_lowercase().contains("signature"), "{why}");

    // No signature.
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    ask(&issuer, &issuer, &format!("{none}.{forged}.")).await.unwrap_err();
    ask(&issuer, &issuer, "").await.unwrap_err();

    // Another gate with the same secret, and therefore the same key.
    let other = gate(&hub_now, Clock::system()).await;
    let why = ask(&other, &issuer, &good).await.unwrap_err();
    assert!(why.contains("InvalidIssuer") || why.contains(&issuer), "{why}");

    // An assertion from ten minutes ago.
    let then = || Clock::manual(now - Duration::from_secs(600).as_secs());
    let hub_then = hub(then()).await;
    let late = gate(&hub_then, then()).await;
    let cookies = sign_in(&format!("{late}/")).await;
    let old = assertion(&late, late.strip_prefix("http://").unwrap(), &cookies).await;
    let why = ask(&late, &late, &old).await.unwrap_err();
    assert!(why.to_lowercase().contains("expired"), "{why}");
}
