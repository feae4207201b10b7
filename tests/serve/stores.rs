//! Sessions in a file and in Redis, as processes.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{COOKIE, HOST};
use rustix::process::Signal;
use serde_json::Value;

use crate::redis_server::RedisServer;
use crate::world::{Serve, app, config, free_address, http, hub, program, sign_in, with_timeout};

async fn status(address: &str, url: &str, cookie: &str) -> u16 {
    let host = url.strip_prefix("http://").unwrap();
    let request = http().get(format!("http://{address}/")).header(HOST, host).header(COOKIE, cookie);
    with_timeout(request.send()).await.unwrap().status().as_u16()
}

async fn until(what: &str, address: &str, url: &str, cookie: &str, expected: u16) {
    let limit = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let found = status(address, url, cookie).await;
        if found == expected {
            return;
        }
        assert!(std::time::Instant::now() < limit, "{what}: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn huggate(arguments: &[&str], config: &Path) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_huggate"));
    let output = with_timeout(command.args(arguments).arg("--config").arg(config).output()).await.unwrap();
    let all = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8_lossy(&all).into_owned())
}

/// A process whose public URL is where it listens.
async fn served(app: &str, issuer: &str, rest: &str) -> (Serve, String) {
    let address = free_address();
    let url = format!("http://{address}");
    let text = config(app, issuer, &url, rest).replace("127.0.0.1:0", &address);
    (Serve::start(&text).await, url)
}

/// An event stream that has begun.
async fn stream(address: &str, url: &str, cookie: &str) -> reqwest::Response {
    let host = url.strip_prefix("http://").unwrap();
    let request = http().get(format!("http://{address}/stream")).header(HOST, host).header(COOKIE, cookie);
    let mut stream = request.send().await.unwrap();
    assert!(with_timeout(stream.chunk()).await.unwrap().is_some());
    stream
}

/// Waits until the stream is cut.
async fn is_cut(mut stream: reqwest::Response) {
    with_timeout(async { while let Ok(Some(_)) = stream.chunk().await {} }).await;
}

#[tokio::test]
async fn sessions_in_a_file_outlive_the_process_that_holds_it_alone() {
    let (hub, app) = (hub().await, app().await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.redb");
    let rest = format!("session.store = \"file:{}\"\n", file.display());
    let (serve, url) = served(&app, hub.issuer(), &rest).await;
    let text = std::fs::read_to_string(&serve.config).unwrap();
    let address = serve.address.clone();
    let ada = sign_in(&url).await;
    assert_eq!(status(&address, &url, &ada).await, 200);

    // Another process is refused, and commands say what they need.
    let second = config(&app, hub.issuer(), &url, &rest);
    let other = folder.path().join("second.toml");
    std::fs::write(&other, &second).unwrap();
    let (code, why) = huggate(&["serve"], &other).await;
    assert!(code == Some(2) && why.contains("is in use by another process"), "{code:?}: {why}");
    let (code, why) = huggate(&["sessions", "list"], &other).await;
    assert!(code == Some(1) && why.contains("set admin.listen"), "{code:?}: {why}");
    let (code, why) = huggate(&["check"], &other).await;
    assert!(code == Some(0) && why.contains("is in use by another process"), "{code:?}: {why}");
    let (code, why) = huggate(&["explain", "GET", "/"], &other).await;
    assert_eq!(code, Some(0), "{why}");

    serve.signal(Signal::KILL);
    drop(serve);
    let (code, list) = huggate(&["sessions", "list", "--user", "ada", "--json"], &other).await;
    let list: Value = serde_json::from_str(&list).unwrap_or_else(|error| panic!("{error}: {list}"));
    assert_eq!((code, list.as_array().unwrap().len()), (Some(0), 1));

    let mut serve = Serve::start(&text).await;
    assert_eq!(status(&address, &url, &ada).await, 200);
    // A reload keeps the file open, and what is in use.
    let admin = free_address();
    serve.write(&format!("{text}timeouts.idle = \"70s\"\n"));
    serve.wait_for_log("the configuration was reloaded").await;
    assert_eq!(status(&address, &url, &ada).await, 200);
    drop(serve);

    let with_admin = format!("{text}admin.listen = \"{admin}\"\n");
    let serve = Serve::start(&with_admin).await;
    let (code, ended) = huggate(&["sessions", "revoke", "--user", "ada", "--json"], &serve.config).await;
    assert_eq!((code, ended.trim()), (Some(0), "{\"revoked\":1}"));
    assert_eq!(status(&address, &url, &ada).await, 401);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_named_with_what_to_do() {
    let app = app().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "not a store, and longer than a header of one would be".repeat(200)).unwrap();
    for (store, words) in [
        (format!("file:{}", file.display()), "is not a session file of huggate"),
        (format!("file:{}", folder.path().display()), "is a directory"),
        (format!("file:{}/none/sessions.redb", folder.path().display()), "does not exist: create it"),
    ] {
        let text =
            config(&app, "http://127.0.0.1:1", "http://localhost", &format!("session.store = \"{store}\""));
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let ended = with_timeout(program(&path).output()).await.unwrap();
        let why = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.code() == Some(2) && why.contains(words), "{store}: {why}");
    }
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("not a store"));
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn processes_that_share_redis_are_one_gate() {
    let (hub, app) = (hub().await, app().await);
    let redis = RedisServer::with(&["--requirepass", "of the server"]);
    redis.cli(&[
        "-a",
        "of the server",
        "ACL",
        "SETUSER",
        "gate",
        "on",
        ">of the gate",
        "~app:*",
        "&app:*",
        "+@all",
    ]);
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "of the gate\n").unwrap();
    let rest = format!(
        "session.store = \"redis://{}\"\n[session.redis]\nusername = \"gate\"\npassword_file = {password:?}\nprefix = \"app:\"\n",
        redis.address(),
    );
    let (serve, url) = served(&app, hub.issuer(), &rest).await;
    let replica = Serve::start(&config(&app, hub.issuer(), &url, &rest)).await;
    let (one, other) = (serve.address.clone(), replica.address.clone());
    let (first, second) = (sign_in(&url).await, sign_in(&url).await);
    for address in [&one, &other] {
        assert_eq!([status(address, &url, &first).await, status(address, &url, &second).await], [200, 200]);
    }
    let (code, count) = huggate(&["sessions", "count", "--user", "ada", "--json"], &serve.config).await;
    assert_eq!((code, count.trim()), (Some(0), "{\"sessions\":2}"));
    let streams = [stream(&one, &url, &first).await, stream(&other, &url, &second).await];

    // It ends within a second, everywhere.
    let begun = std::time::Instant::now();
    let (code, ended) = huggate(&["sessions", "revoke", "--user", "ada", "--json"], &serve.config).await;
    assert_eq!((code, ended.trim()), (Some(0), "{\"revoked\":2}"));
    for stream in streams {
        is_cut(stream).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    for address in [&one, &other] {
        assert_eq!([status(address, &url, &first).await, status(address, &url, &second).await], [401, 401]);
    }
    // A restart in between loses nothing.
    let third = sign_in(&url).await;
    replica.signal(Signal::KILL);
    drop(replica);
    let replica = Serve::start(&config(&app, hub.issuer(), &url, &rest)).await;
    assert_eq!(status(&replica.address, &url, &third).await, 200);
    let (code, online) = huggate(&["check", "--online"], &serve.config).await;
    assert!(code == Some(0) && online.contains("the session store answers"), "{online}");
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn a_wrong_password_stops_nobody_from_finding_out() {
    let (hub, app) = (hub().await, app().await);
    let redis = RedisServer::with(&["--requirepass", "right"]);
    let wrong = format!("session.store = \"redis://:wr0ng@{}\"\n", redis.address());
    let (mut serve, url) = served(&app, hub.issuer(), &wrong).await;
    let line = serve.wait_for_log("the session store does not answer").await;
    assert!(line.contains("check `username` and `password`") && !line.contains("wr0ng"), "{line}");
    let ready = http().get(format!("{url}/oauth2/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    let ready: Value = ready.json().await.unwrap();
    assert_eq!(
        (&ready["store"], &ready["problems"][0]),
        (&"unreachable".into(), &"store: unreachable".into())
    );
    for (arguments, expected) in
        [(&["check", "--online"][..], 1), (&["sessions", "list"], 1), (&["check"], 0)]
    {
        let (code, text) = huggate(arguments, &serve.config).await;
        assert_eq!(code, Some(expected), "{arguments:?}: {text}");
        assert!(!text.contains("wr0ng"), "{text}");
    }
    // Corrected by a reload.
    let text = std::fs::read_to_string(&serve.config).unwrap().replace("wr0ng", "right");
    serve.write(&text);
    serve.wait_for_log("the configuration was reloaded").await;
    let ada = sign_in(&url).await;
    until("signed in", &serve.address.clone(), &url, &ada, 200).await;
}

#[tokio::test]
#[ignore = "needs redis-server: run ./scripts/test"]
async fn revocations_in_redis_end_sessions_in_cookies_at_every_process() {
    let (hub, app) = (hub().await, app().await);
    let mut redis = RedisServer::single();
    let rest = format!("session.revocations = \"redis://{}\"\n", redis.address());
    let (serve, url) = served(&app, hub.issuer(), &rest).await;
    let replica = Serve::start(&config(&app, hub.issuer(), &url, &rest)).await;
    let (one, other) = (serve.address.clone(), replica.address.clone());
    let ada = sign_in(&url).await;
    until("known", &one, &url, &ada, 200).await;
    until("known", &other, &url, &ada, 200).await;
    let open = stream(&other, &url, &ada).await;
    let (code, ended) = huggate(&["sessions", "revoke", "--user", "ada", "--json"], &serve.config).await;
    assert!(code == Some(0) && ended.contains("not_before"), "{code:?}: {ended}");
    is_cut(open).await;
    until("ended", &one, &url, &ada, 401).await;
    let again = sign_in(&url).await;
    assert_eq!([status(&one, &url, &again).await, status(&other, &url, &again).await], [200, 200]);
    // Without Redis what is known counts; a process that starts then knows nothing, and says so.
    redis.kill();
    assert_eq!([status(&one, &url, &again).await, status(&one, &url, &ada).await], [200, 401]);
    let late = Serve::start(&config(&app, hub.issuer(), &url, &rest)).await;
    assert_eq!(status(&late.address, &url, &again).await, 503);
    redis.start_again();
    until("back", &late.address, &url, &again, 200).await;
}
