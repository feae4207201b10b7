//! `huggate sessions` and the admin listener, as processes.

use std::path::Path;
use std::process::Output;

use reqwest::header::{COOKIE, HOST, ORIGIN};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

use crate::world::{Serve, app, config, free_address, http, hub, sign_in, with_timeout};

const TOKEN: &str = "a token of at least 16 characters";

async fn sessions(config: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_huggate"));
    command.arg("sessions").args(arguments).arg("--config").arg(config);
    with_timeout(command.output()).await.unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn text(output: &Output) -> (Option<i32>, String) {
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8_lossy(&all).into_owned())
}

async fn status(url: &str, cookie: &str) -> u16 {
    status_at(url.strip_prefix("http://").unwrap(), url, cookie).await
}

/// The same at a replica, which listens elsewhere.
async fn status_at(address: &str, url: &str, cookie: &str) -> u16 {
    let host = url.strip_prefix("http://").unwrap();
    let request = http().get(format!("http://{address}/")).header(HOST, host).header(COOKIE, cookie);
    request.send().await.unwrap().status().as_u16()
}

/// A process whose public URL is where it listens.
async fn served(app: &str, issuer: &str, rest: &str) -> (Serve, String) {
    let address = free_address();
    let url = format!("http://{address}");
    let text = config(app, issuer, &url, rest).replace("127.0.0.1:0", &address);
    (Serve::start(&text).await, url)
}

/// Waits until the session has ended, which other processes may hear of a little later.
async fn has_ended(address: &str, url: &str, cookie: &str) {
    with_timeout(async {
        while status_at(address, url, cookie).await != 401 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn sessions_in_memory_are_listed_and_ended_through_the_admin_listener() {
    let (hub, app) = (hub().await, app().await);
    let admin = free_address();
    let rest = format!("session.store = \"memory\"\n[admin]\nlisten = \"{admin}\"\ntoken = \"{TOKEN}\"\n");
    let (serve, url) = served(&app, hub.issuer(), &rest).await;
    let (first, second) = (sign_in(&url).await, sign_in(&url).await);
    assert_eq!(status(&url, &first).await, 200);

    let list = json(&sessions(&serve.config, &["list", "--json"]).await);
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), 2);
    for name in ["id", "sub", "username", "created", "last_used", "expires", "client", "user_agent", "kind"] {
        assert!(list[0][name].is_string(), "{name}: {}", list[0]);
    }
    assert_eq!((&list[0]["username"], &list[0]["kind"]), (&"ada".into(), &"browser".into()));
    let (code, table) = text(&sessions(&serve.config, &["list"]).await);
    assert!(code == Some(0) && table.starts_with("ID ") && table.matches("ada").count() == 2, "{table}");
    assert_eq!(json(&sessions(&serve.config, &["count", "--user", "ada", "--json"]).await)["sessions"], 2);

    let id = list[0]["id"].as_str().unwrap();
    assert_eq!(json(&sessions(&serve.config, &["revoke", "--id", id, "--json"]).await)["revoked"], 1);
    assert_eq!(json(&sessions(&serve.config, &["revoke", "--id", id, "--json"]).await)["revoked"], 0);
    let left = [status(&url, &first).await, status(&url, &second).await];
    assert!(left == [200, 401] || left == [401, 200], "{left:?}");
    let revoked = text(&sessions(&serve.config, &["revoke", "--user", "ADA"]).await);
    assert_eq!(revoked, (Some(0), "1 session has ended\n".to_owned()));
    assert_eq!([status(&url, &first).await, status(&url, &second).await], [401, 401]);
    assert_eq!(json(&sessions(&serve.config, &["list", "--json"]).await), Value::Array(Vec::new()));

    let (code, why) = text(&sessions(&serve.config, &["revoke"]).await);
    assert!(code == Some(2) && why.contains("--all"), "{why}");
    let (code, why) = text(&sessions(&serve.config, &["revoke", "--id", "ada"]).await);
    assert!(code == Some(2) && why.contains("not the id of a session"), "{why}");
    drop(serve);
}

#[tokio::test]
async fn the_admin_listener_refuses_pages_strangers_and_vague_requests() {
    let (hub, app) = (hub().await, app().await);
    let admin = free_address();
    let rest = format!("session.store = \"memory\"\n[admin]\nlisten = \"{admin}\"\ntoken = \"{TOKEN}\"\n");
    let serve = Serve::start(&config(&app, hub.issuer(), "http://localhost", &rest)).await;
    let ask = |method: Method, path: &str| http().request(method, format!("http://{admin}{path}"));
    let trusted = |method: Method, path: &str| ask(method, path).bearer_auth(TOKEN);

    let asked = ask(Method::GET, "/sessions").send().await.unwrap();
    assert_eq!(
        (asked.status(), asked.headers()["www-authenticate"].to_str().unwrap()),
        (StatusCode::UNAUTHORIZED, "Bearer realm=\"huggate admin\"")
    );
    assert_eq!(ask(Method::GET, "/sessions").bearer_auth("wrong").send().await.unwrap().status(), 401);
    assert_eq!(trusted(Method::GET, "/healthz").send().await.unwrap().status(), 200);
    let ready = trusted(Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    assert!(ready.text().await.unwrap().contains("provider: "));
    for (name, value) in [
        (ORIGIN.as_str(), "https://evil.example"),
        (ORIGIN.as_str(), "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        (HOST.as_str(), "evil.example"),
        (HOST.as_str(), "127.0.0.1.evil.example:80"),
    ] {
        let refused = trusted(Method::DELETE, "/sessions?all=true").header(name, value).send().await.unwrap();
        assert_eq!(refused.status(), 403, "{name}: {value}");
    }
    for query in
        ["", "?", "?user=", "?usr=ada", "?all=1", "?user=ada&all=true", "?user=ada&user=ben", "?id=x"]
    {
        let refused = trusted(Method::DELETE, &format!("/sessions{query}")).send().await.unwrap();
        assert_eq!(refused.status(), 400, "{query}");
        let why: Value = refused.json().await.unwrap();
        assert_eq!(why["error"], "invalid_request");
    }
    assert_eq!(trusted(Method::POST, "/sessions").send().await.unwrap().status(), 405);
    assert_eq!(trusted(Method::GET, "/other").send().await.unwrap().status(), 404);
    let none: Value = trusted(Method::GET, "/sessions").send().await.unwrap().json().await.unwrap();
    assert_eq!(none, serde_json::json!({"sessions": []}));
    // Who is refused holds no connection, however many requests wait in it.
    let mut stranger = TcpStream::connect(&admin).await.unwrap();
    stranger
        .write_all("GET /sessions HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".repeat(2).as_bytes())
        .await
        .unwrap();
    let mut answers = Vec::new();
    // The second request may be answered by a reset.
    let _ = with_timeout(stranger.read_to_end(&mut answers)).await;
    assert_eq!(String::from_utf8_lossy(&answers).matches("HTTP/1.1 401").count(), 1);
    // It is on no other listener.
    assert_ne!(serve.status("/sessions").await, 200);
}

#[tokio::test]
async fn with_the_cookie_store_a_revocation_in_a_file_reaches_every_process() {
    let (hub, app) = (hub().await, app().await);
    let folder = tempfile::tempdir().unwrap();
    let rest = format!("session.revocations = \"file:{}\"\n", folder.path().join("revoked").display());
    let (serve, url) = served(&app, hub.issuer(), &rest).await;
    let replica = Serve::start(&config(&app, hub.issuer(), &url, &rest)).await;
    let (one, other) = (&serve.address, &replica.address);
    let ada = sign_in(&url).await;
    assert_eq!([status(&url, &ada).await, status_at(other, &url, &ada).await], [200, 200]);
    for action in ["list", "count"] {
        let (code, why) = text(&sessions(&serve.config, &[action]).await);
        assert!(code == Some(2) && why.contains("\"redis://…\" can"), "{why}");
    }
    assert_eq!(json(&sessions(&serve.config, &["revoke", "--user", "ben", "--json"]).await)["revoked"], 0);
    let revoked = json(&sessions(&serve.config, &["revoke", "--user", "ada", "--json"]).await);
    assert!(revoked["not_before"].is_string(), "{revoked}");
    has_ended(one, &url, &ada).await;
    has_ended(other, &url, &ada).await;
    let again = sign_in(&url).await;
    assert_eq!([status(&url, &again).await, status_at(other, &url, &again).await], [200, 200]);
}

#[tokio::test]
async fn what_a_store_cannot_do_is_said_with_what_can() {
    let app = app().await;
    let refused = async |rest: &str, arguments: &[&str], code: i32, words: &str| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, config(&app, "http://127.0.0.1:1", "http://localhost", rest)).unwrap();
        let (found, why) = text(&sessions(&file, arguments).await);
        assert!(found == Some(code) && why.contains(words), "{found:?}: {why}");
    };
    refused("", &["revoke", "--all"], 2, "session.revocations").await;
    refused("", &["list"], 2, "cannot list or count").await;
    refused("session.store = \"memory\"", &["list"], 2, "set admin.listen").await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let rest = format!("session.store = \"memory\"\nadmin.listen = \"{nobody}\"");
    refused(&rest, &["list"], 1, "cannot be reached").await;
    for (rest, words) in [
        ("admin.listen = \"0.0.0.0:9180\"", "is no loopback address"),
        ("admin.listen = \"9180\"", "is not an address and a port"),
        ("admin.token = \"short\"\nadmin.listen = \"127.0.0.1:9180\"", "at least 16 characters"),
        ("admin.token = \"a token without a listener\"", "admin.listen: is missing"),
        ("session.revocations = \"revoked\"", "write it like \"file:revocations\""),
    ] {
        refused(rest, &["list"], 2, words).await;
    }
}

#[tokio::test]
async fn the_command_makes_no_session_file() {
    let app = app().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let rest = "session.store = \"file:sessions.redb\"";
    std::fs::write(&file, config(&app, "http://127.0.0.1:1", "http://localhost", rest)).unwrap();
    for arguments in [&["list"][..], &["count"], &["revoke", "--all"]] {
        let (code, why) = text(&sessions(&file, arguments).await);
        assert!(code == Some(1) && why.contains("sessions.redb does not exist"), "{code:?}: {why}");
    }
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["config.toml"]);
}
