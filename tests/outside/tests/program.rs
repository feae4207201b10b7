//! The program, over real sockets, with the stand-in for huggingface.co.

use std::error::Error;
use std::process::Stdio;
use std::time::Duration;

use huggate::hub::{Client, Hub, Settings};
use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Response, StatusCode, redirect};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

fn location(response: &Response) -> &str {
    response.headers()[LOCATION].to_str().unwrap()
}

fn cookies(response: &Response) -> String {
    let lines = response.headers().get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap());
    lines.filter_map(|line| line.split(';').next()).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn somebody_signs_in_at_the_program() -> Result<(), Box<dyn Error>> {
    let hub = Hub::start(tokio::net::TcpListener::bind("127.0.0.1:0").await?, Settings::default()).await?;
    hub.register(
        Client::confidential("board", "a secret", "The noticeboard", &[]).any_loopback_redirect(true),
    );
    hub.consent("ada", "board", &["acme"]);
    let mut program = Command::new(env!("CARGO_BIN_EXE_noticeboard"))
        .env("LISTEN", "127.0.0.1:0")
        .env("ISSUER", hub.issuer())
        .env("CLIENT_ID", "board")
        .env("CLIENT_SECRET", "a secret")
        .env("SESSION_SECRET", "5e".repeat(32))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(program.stdout.take().ok_or("no output")?).lines();
    let line = timeout(LIMIT, lines.next_line()).await??.ok_or("it has ended")?;
    let url = line.strip_prefix("open ").ok_or(line.clone())?;

    let http = reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().build()?;
    let begun = http.get(format!("{url}/me")).header(ACCEPT, "text/html").send().await?;
    let consented = http.get(location(&begun)).header(COOKIE, "hub_user=ada").send().await?;
    let done = http.get(location(&consented)).header(COOKIE, cookies(&begun)).send().await?;
    assert_eq!(location(&done), "/board/me");

    let me = http.get(format!("{url}/me")).header(COOKIE, cookies(&done)).send().await?;
    assert_eq!(me.status(), StatusCode::OK);
    let me: serde_json::Value = serde_json::from_str(&me.text().await?)?;
    assert_eq!(me["user"]["preferred_username"], "ada");
    // Of the connection: no proxy is trusted.
    assert_eq!(me["address"], "127.0.0.1");
    Ok(())
}
