//! The reverse proxy: streaming, limits, upstreams, WebSockets, shutdown.

mod future_size;
mod graceful_shutdown;
mod limits;
mod listeners;
mod malformed;
mod retries;
mod streams;
mod tls;
mod websockets;

pub(crate) use websockets::echo_websocket_app;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use huggate::server::{Running, ServerSettings};
use huggate::upstream::{UpstreamSettings, UpstreamUrl};
use huggate::{Gate, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::world::{self, SECRET};

/// How long anything may take before a test fails.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A proxy without access rules in front of an app that the test controls.
pub(crate) struct TestProxy {
    pub(crate) address: String,
    pub(crate) running: Running,
    pub(crate) ended: tokio::task::JoinHandle<bool>,
    pub(crate) gate: Gate,
}

impl TestProxy {
    /// Starts a proxy in front of `app`.
    pub(crate) async fn start(app: SocketAddr) -> Self {
        Self::start_with(app, |_| {}, |_| {}).await
    }

    pub(crate) async fn start_with(
        app: SocketAddr,
        upstream: impl FnOnce(&mut UpstreamSettings),
        server: impl FnOnce(&mut ServerSettings),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let gate = public_gate(&format!("http://{address}")).await;
        let mut to_app = world::upstream(UpstreamUrl::parse(&format!("http://{app}")).unwrap());
        upstream(&mut to_app);
        let mut from_clients = world::server();
        server(&mut from_clients);
        let (running, ended) = world::proxy(&gate, &to_app, from_clients, listener);
        Self { address, running, ended, gate }
    }

    /// Opens a connection and sends these bytes.
    pub(crate) async fn open(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

/// A gate whose routes are all public; its provider does not exist.
pub(crate) async fn public_gate(public_url: &str) -> Gate {
    Gate::builder()
        .public_url(public_url)
        .issuer("http://127.0.0.1:1")
        .public_client("nobody")
        .secret(SECRET)
        .allow_anyone()
        .route(Route::public("/**"))
        .build()
        .await
        .unwrap()
}

/// An app that the test scripts byte by byte.
pub(crate) struct ScriptedApp {
    listener: TcpListener,
}

impl ScriptedApp {
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self { listener }, address)
    }

    /// Accepts a connection and reads the head of its first request.
    pub(crate) async fn request(&self) -> (TcpStream, String) {
        let (mut stream, _) = with_timeout(self.listener.accept()).await.unwrap();
        let head = read_head(&mut stream).await;
        (stream, head)
    }
}

/// An app that answers each request with 200 and the request's head as the body, and
/// counts connections.
pub(crate) async fn echo_app() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                loop {
                    let head = read_head(&mut stream).await;
                    if head.is_empty() {
                        return;
                    }
                    let length = head.len();
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{head}");
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, connections)
}

/// Reads a head; empty if the connection was closed before its end.
pub(crate) async fn read_head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match with_timeout(stream.read_u8()).await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Reads up to and including `end`.
pub(crate) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        match with_timeout(stream.read_u8()).await {
            Ok(byte) => bytes.push(byte),
            Err(_) => panic!("{end:?} was not received after {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Fails the test if `future` takes too long.
pub(crate) async fn with_timeout<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.expect("it took too long")
}

/// Waits until the other side has closed the connection.
pub(crate) async fn wait_closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut rest)).await.is_ok()
}
