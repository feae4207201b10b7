//! A running `huggate serve`, a stand-in for huggingface.co, and an app.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use huggate::hub::{Client, Hub, Settings};
use reqwest::header::{ACCEPT, COOKIE, LOCATION, SET_COOKIE};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStderr, Command};

/// How long anything may take before a test fails.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const SECRET: &str = "5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e";

/// The process; killed on drop.
pub(crate) struct Serve {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    /// The address it listens on.
    pub(crate) address: String,
    pub(crate) config: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

pub(crate) async fn with_timeout<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.expect("it took too long")
}

/// A loopback address that nothing listens on.
pub(crate) fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A configuration with the required settings, followed by `rest`. The system chooses
/// the port.
pub(crate) fn config(app: &str, issuer: &str, public_url: &str, rest: &str) -> String {
    format!(
        "public_url = \"{public_url}\"\nlisten = \"127.0.0.1:0\"\nupstream = \"{app}\"\n\
         session.secret = \"{SECRET}\"\naccess.allow = [{{ org = \"acme\" }}]\n\
         provider = {{ issuer = \"{issuer}\", client_id = \"serve\", client_secret = \"secret\" }}\n{rest}"
    )
}

impl Serve {
    /// Starts the process with this configuration, and waits until it is ready.
    pub(crate) async fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("config.toml");
        std::fs::write(&config, text).unwrap();
        let mut serve = Self::start_as(&mut program(&config), None, &config).await;
        serve._folder = Some(folder);
        serve
    }

    /// Starts `command`, with `input` as its file descriptor 0.
    pub(crate) async fn start_as(command: &mut Command, input: Option<OwnedFd>, config: &Path) -> Self {
        let mut child = command
            .stdin(input.map_or_else(Stdio::null, Stdio::from))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut serve = Self { child, log, address: String::new(), config: config.to_owned(), _folder: None };
        let ready = serve.wait_for_log("huggate is ready").await;
        let listen = ready.split("listen=").nth(1).unwrap_or_else(|| panic!("{ready}"));
        serve.address = listen.split(' ').next().unwrap().to_owned();
        serve
    }

    /// Waits for a log line that contains `words`.
    pub(crate) async fn wait_for_log(&mut self, words: &str) -> String {
        let mut before = Vec::new();
        loop {
            match tokio::time::timeout(TIMEOUT, self.log.next_line()).await {
                Ok(Ok(Some(line))) if line.contains(words) => return line,
                Ok(Ok(Some(line))) => before.push(line),
                end => panic!("{words:?} was not logged ({end:?}) after\n{}", before.join("\n")),
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Waits for the exit status.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        with_timeout(self.child.wait()).await.unwrap().code()
    }

    /// Replaces the configuration file.
    pub(crate) fn write(&self, text: &str) {
        std::fs::write(&self.config, text).unwrap();
    }

    /// Sends a GET request, and returns the status.
    pub(crate) async fn status(&self, path: &str) -> u16 {
        let url = format!("http://{}{path}", self.address);
        with_timeout(http().get(url).send()).await.unwrap().status().as_u16()
    }
}

pub(crate) fn program(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_huggate"));
    command.args(["serve", "--config"]).arg(config);
    command
}

pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

/// A stand-in at which the app is registered with any loopback address.
pub(crate) async fn hub() -> Hub {
    let hub = Hub::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), Settings::default()).await.unwrap();
    let client = Client::confidential("serve", "secret", "Serve", &[]);
    hub.register(client.any_loopback_redirect(true));
    hub.consent("ada", "serve", &["acme"]);
    hub
}

/// Signs ada in at `url`; returns her cookies.
pub(crate) async fn sign_in(url: &str) -> String {
    let http = http();
    let location = |answer: &reqwest::Response| -> String {
        let location = answer.headers().get(LOCATION).unwrap_or_else(|| panic!("{answer:?}"));
        location.to_str().unwrap().to_owned()
    };
    let begun = http.get(url).header(ACCEPT, "text/html").send().await.unwrap();
    let consented = http.get(location(&begun)).header(COOKIE, "hub_user=ada").send().await.unwrap();
    let done = http.get(location(&consented)).header(COOKIE, cookies(&begun)).send().await.unwrap();
    cookies(&done)
}

fn cookies(answer: &reqwest::Response) -> String {
    let lines = answer.headers().get_all(SET_COOKIE).iter().map(|line| line.to_str().unwrap());
    let pairs = lines.filter_map(|line| line.split(';').next()).filter(|pair| !pair.ends_with('='));
    pairs.collect::<Vec<_>>().join("; ")
}

/// An app: `/slow` is answered after a request for `/go`, `/stream` never ends, and
/// everything else is answered with `fine`.
pub(crate) async fn app() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let go = std::sync::Arc::new(tokio::sync::Notify::new());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let go = std::sync::Arc::clone(&go);
            tokio::spawn(async move {
                let _ = answer(stream, &go).await;
            });
        }
    });
    format!("http://{address}")
}

async fn answer(mut stream: TcpStream, go: &tokio::sync::Notify) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        match head.split(' ').nth(1) {
            Some("/slow") => go.notified().await,
            Some("/go") => go.notify_one(),
            Some("/stream") => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n7\r\ndata: \n\r\n";
                stream.write_all(head.as_bytes()).await?;
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine").await?;
    }
}
