//! The commands as processes: exit status, what they print, and what they leave alone.

use std::process::{Command, Output};

use huggate::hub::{Edit, Endpoint, Fault, Hub};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::world::{Serve, app, config, hub, with_timeout};

fn huggate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_huggate")).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_stand_in_and_the_demo_refuse_other_than_loopback_addresses_before_they_open_a_socket() {
    // The port is taken, so that an attempt to bind would fail in another way.
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for command in ["hub", "demo"] {
        for host in ["0.0.0.0", "[::]", "192.0.2.1", "[2001:db8::1]", "[::ffff:127.0.0.1]"] {
            let refused = huggate(&[command, "--listen", &format!("{host}:{port}")]);
            let text = stderr(&refused);
            assert_eq!(refused.status.code(), Some(2), "{command} {host}: {text}");
            assert!(
                text.contains(&format!("{host}:{port}")) && text.contains("sign in as any user"),
                "{text}"
            );
            assert!(refused.stdout.is_empty());
        }
        for name in ["localhost:4180", "127.0.0.1", "4180"] {
            let refused = huggate(&[command, "--listen", name]);
            let text = stderr(&refused);
            assert_eq!(refused.status.code(), Some(2), "{command} {name}: {text}");
            assert!(text.contains(name) && text.contains("write it like 127.0.0.1:4180"), "{text}");
        }
    }
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    for host in ["127.0.0.1", "[::1]"] {
        // Not every machine has IPv6.
        let Ok(taken) = std::net::TcpListener::bind(format!("{host}:0")) else { continue };
        let address = taken.local_addr().unwrap().to_string();
        for command in ["hub", "demo"] {
            let refused = huggate(&[command, "--listen", &address]);
            let text = stderr(&refused);
            assert_eq!(refused.status.code(), Some(1), "{command}: {text}");
            assert!(text.contains(&format!("cannot listen on {address}")), "{text}");
            assert!(
                text.contains("another process listens there: stop it, or choose another address"),
                "{text}"
            );
        }
    }
}

/// A folder with this configuration, and its path.
fn written(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}

#[test]
fn check_and_serve_print_every_problem_of_every_stage_with_its_line() {
    let text = config(
        "http://127.0.0.1:7860",
        "http://127.0.0.1:1",
        "http://127.0.0.1:9",
        "prefx = \"/x\"\n[tls]\ncert_file = \"nowhere.pem\"\nkey_file = \"no-key.pem\"\n\
         [bearer]\nhub_token = true\n",
    );
    let text = text.replace("client_secret = \"secret\"", "client_secret_file = \"no-secret\"");
    let (folder, path) = written(&text);
    let here = folder.path().display();
    let mut printed = Vec::new();
    for command in ["check", "serve"] {
        let refused = huggate(&[command, "--config", &path]);
        assert_eq!(refused.status.code(), Some(2));
        assert!(refused.stdout.is_empty());
        printed.push(stderr(&refused));
    }
    for expected in [
        format!("{path}:6: provider.client_secret_file: \"{here}/no-secret\" does not exist"),
        format!("{path}:7: prefx: unknown key; did you mean `prefix`?"),
        format!("{path}:9: tls.cert_file: \"{here}/nowhere.pem\" does not exist; it must be a PEM file"),
        format!("{path}:10: tls.key_file: \"{here}/no-key.pem\" does not exist; it must be a PEM file"),
        format!("{path}:12: bearer.hub_token: unknown key; did you mean `hub_tokens`?"),
    ] {
        assert!(printed[0].lines().any(|line| line.starts_with(&expected)), "{expected}\n{}", printed[0]);
    }
    assert_eq!(printed[0].lines().count(), 5, "{}", printed[0]);
    assert_eq!(printed[0], printed[1]);
}

#[test]
fn check_names_the_variable_of_a_wrong_value() {
    let (_folder, path) =
        written(&config("http://127.0.0.1:7860", "http://127.0.0.1:1", "http://127.0.0.1:9", ""));
    let output = Command::new(env!("CARGO_BIN_EXE_huggate"))
        .args(["check", "--config", &path])
        .env("HUGGATE_UPSTREAM_TLS__CA_FILE", "/no/ca.pem")
        .env("HUGGATE_PROVIDER__CLIENTID", "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = stderr(&output);
    for expected in [
        "HUGGATE_UPSTREAM_TLS__CA_FILE: upstream_tls.ca_file: \"/no/ca.pem\" does not exist; ",
        "HUGGATE_PROVIDER__CLIENTID: unknown variable; did you mean HUGGATE_PROVIDER__CLIENT_ID?",
    ] {
        assert!(text.lines().any(|line| line.starts_with(expected)), "{expected}\n{text}");
    }
}

/// What the provider's answers say, and whether `check --online` may succeed.
async fn online(hub: &Hub, app: &str) -> (Option<i32>, String) {
    let (folder, path) = written(&config(app, hub.issuer(), "http://127.0.0.1:9", ""));
    let program = env!("CARGO_BIN_EXE_huggate");
    let output =
        tokio::process::Command::new(program).args(["check", "--online", "--config", &path]).output();
    let output = with_timeout(output).await.unwrap();
    drop(folder);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    (output.status.code(), text)
}

#[tokio::test]
async fn an_online_check_asks_for_metadata_and_keys_and_says_what_to_do() {
    let (hub, app) = (hub().await, app().await);
    let (status, text) = online(&hub, &app).await;
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains(&format!("provider      {} is reachable", hub.issuer())), "{text}");
    assert!(text.contains("keys          1 key to verify ID tokens with"), "{text}");
    assert!(text.contains(&format!("app           {app} accepts connections")), "{text}");

    for (endpoint, fault, says, advice) in [
        (Endpoint::Jwks, Fault::Status(500), "/oauth/jwks answered 500", "try again later"),
        (Endpoint::Jwks, Fault::Status(404), "/oauth/jwks answered 404", "check that provider.issuer"),
        (
            Endpoint::Jwks,
            Fault::NotJson,
            "/oauth/jwks sent a response that is not the expected JSON",
            "check provider.issuer",
        ),
        (Endpoint::Jwks, Fault::Reset, "/oauth/jwks could not be reached", "check provider.issuer"),
        (Endpoint::Discovery, Fault::Status(500), "openid-configuration answered 500", "try again later"),
        (
            Endpoint::Discovery,
            Fault::NotJson,
            "openid-configuration sent a response",
            "check provider.issuer",
        ),
        (Endpoint::Discovery, Fault::Reset, "could not be reached", "check provider.issuer"),
    ] {
        hub.behave(|hub| hub.fail(endpoint, fault.clone()));
        let (status, text) = online(&hub, &app).await;
        hub.behave(|hub| hub.clear_faults(endpoint));
        assert_eq!(status, Some(1), "{endpoint:?} {fault:?}: {text}");
        let subject = if endpoint == Endpoint::Jwks { "keys" } else { "provider" };
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{subject} ")));
        let line = line.unwrap_or_else(|| panic!("{endpoint:?} {fault:?}: {text}"));
        assert!(line.contains("cannot be used: ") && line.contains(says) && line.contains(advice), "{line}");
    }
    hub.behave(|hub| hub.discovery_issuer = Some("https://other.example".to_owned()));
    let (status, text) = online(&hub, &app).await;
    assert_eq!(status, Some(1), "{text}");
    assert!(
        text.contains("names the issuer \"https://other.example\"")
            && text.contains("write provider.issuer as")
    );
}

#[tokio::test]
async fn an_online_check_fails_where_no_key_can_verify_an_id_token() {
    let (hub, app) = (hub().await, app().await);
    for (keys, says) in [
        (r#"{"keys": []}"#, "lists no key"),
        (r#"{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}"#, "lists no key that can verify"),
        (
            r#"{"keys": [{"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"}]}"#,
            "lists no key that can verify",
        ),
        (r#"{"keys": [{"kty": "made-up"}]}"#, "lists no key"),
        ("{}", "is not the expected JSON"),
        ("[]", "is not the expected JSON"),
    ] {
        let served = serving(keys).await;
        hub.behave(|hub| {
            hub.edit_discovery = Some(Edit::new(move |metadata| {
                metadata.insert("jwks_uri".to_owned(), format!("{served}/keys").into());
            }));
        });
        let (status, text) = online(&hub, &app).await;
        assert_eq!(status, Some(1), "{keys}: {text}");
        let line = text.lines().find(|line| line.contains("keys ")).unwrap_or_else(|| panic!("{text}"));
        assert!(line.contains(says) && line.contains("/keys"), "{keys}: {line}");
    }
}

#[tokio::test]
async fn an_app_that_is_down_is_a_warning_of_an_online_check() {
    let hub = hub().await;
    // Bound but not listening: connections are refused, and no other test gets the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let app = format!("http://{}", socket.local_addr().unwrap());
    let (status, text) = online(&hub, &app).await;
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains(" is valid, with a warning:\n"), "{text}");
    let warning = format!("warning: {app} does not accept connections: connection refused; start the app");
    assert!(text.contains(&warning), "{text}");
}

#[tokio::test]
async fn serve_logs_at_its_start_that_the_keys_cannot_be_used() {
    let (hub, app) = (hub().await, app().await);
    hub.behave(|hub| hub.fail(Endpoint::Jwks, Fault::Status(500)));
    let mut serve = Serve::start(&config(&app, hub.issuer(), "http://127.0.0.1:9", "")).await;
    let line = serve.wait_for_log("the provider is not reachable yet").await;
    assert!(line.contains("/oauth/jwks answered 500"), "{line}");
}

/// A server that answers every request with this JSON.
async fn serving(json: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{json}",
                json.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    format!("http://{address}")
}
