//! A stand-in for huggingface.co, a gate in front of an app, and a sign-in.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use axum::Router;
use axum::routing::get;
use http::HeaderMap;
use huggate::clock::Clock;
use huggate::hub::{Client, Hub, Settings};
use huggate::{Gate, Role, Route, Rule};
use reqwest::header::{ACCEPT, COOKIE, HOST, LOCATION, SET_COOKIE};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

/// The id and secret of the OAuth app at the stand-in.
pub(crate) const CLIENT: (&str, &str) = ("docs", "a secret of the docs");
/// A second host of the same gate.
pub(crate) const OTHER_HOST: &str = "other.example";
pub(crate) const SESSION_SECRET: &str = "7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a";

/// Listens on a free port.
pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A stand-in at which ada and ben have granted acme to our app.
pub(crate) async fn hub(clock: Clock) -> Hub {
    let (listener, _) = listen().await;
    let hub = Hub::start(listener, Settings::default().clock(clock)).await.unwrap();
    let client = Client::confidential(CLIENT.0, CLIENT.1, "The docs", &[]);
    hub.register(client.any_loopback_redirect(true));
    for person in ["ada", "ben"] {
        hub.consent(person, CLIENT.0, &["acme"]);
    }
    hub
}

/// Starts a gate in front of an app that responds with its assertion, or at
/// `/headers` with the names of all headers. Returns the public URL. All gates have
/// the same secret.
pub(crate) async fn gate(hub: &Hub, clock: Clock) -> String {
    let (listener, public_url) = listen().await;
    let other = Route::host(OTHER_HOST);
    let admin = Route::path("/admin");
    let gate = Gate::builder()
        .public_url(&public_url)
        .issuer(hub.issuer())
        .client(CLIENT.0, CLIENT.1)
        .secret(SESSION_SECRET)
        .allow(Rule::org("acme"))
        .route(other)
        .route(admin.allow(vec![Rule::org("acme").with_role(Role::Admin)]))
        .clock(clock)
        .build()
        .await
        .unwrap();
    let shown = |headers: HeaderMap| async move {
        headers.get("x-huggate-assertion").unwrap().to_str().unwrap().to_owned()
    };
    let names = |headers: HeaderMap| async move {
        headers.keys().map(|name| format!("{name}\n")).collect::<String>()
    };
    let app = Router::new().route("/headers", get(names)).fallback(shown).layer(gate.layer());
    tokio::spawn(async move { axum::serve(listener, app).await });
    public_url
}

/// A client that does not follow redirects.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

/// Signs ada in at `url`; returns her cookies.
pub(crate) async fn sign_in(url: &str) -> String {
    sign_in_as("ada", url).await
}

/// Signs `person` in at `url`; returns the cookies.
pub(crate) async fn sign_in_as(person: &str, url: &str) -> String {
    let http = http();
    let location = |answer: &reqwest::Response| -> String {
        let location = answer.headers().get(LOCATION).unwrap_or_else(|| panic!("{answer:?}"));
        location.to_str().unwrap().to_owned()
    };
    let begun = http.get(url).header(ACCEPT, "text/html").send().await.unwrap();
    let consented =
        http.get(location(&begun)).header(COOKIE, format!("hub_user={person}")).send().await.unwrap();
    let done = http.get(location(&consented)).header(COOKIE, cookies(&begun)).send().await.unwrap();
    assert_eq!(location(&done), url.parse::<url::Url>().unwrap().path());
    cookies(&done)
}

fn cookies(answer: &reqwest::Response) -> String {
    let lines = answer.headers().get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap());
    let pairs = lines.filter_map(|line| line.split(';').next()).filter(|pair| !pair.ends_with('='));
    pairs.collect::<Vec<_>>().join("; ")
}

/// The assertion that the app at `url` receives if it is asked for as `host`.
pub(crate) async fn assertion(url: &str, host: &str, cookies: &str) -> String {
    let ask = http().get(url).header(HOST, host).header(COOKIE, cookies);
    let answer = ask.send().await.unwrap().error_for_status().unwrap();
    answer.text().await.unwrap()
}

/// The path of the example `name`, as `cargo test` builds it.
pub(crate) fn example(name: &str) -> PathBuf {
    let target = std::env::current_exe().unwrap();
    let path = target.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join(name);
    assert!(path.is_file(), "{path:?} is missing: cargo build --examples --all-features");
    path
}

/// Runs `command` with `input`.
pub(crate) async fn run(command: &mut tokio::process::Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The gate is on this machine; a proxy from the environment would not reach it.
    let mut child = command.env("NO_PROXY", "127.0.0.1").kill_on_drop(true).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    child.wait_with_output().await.unwrap()
}
