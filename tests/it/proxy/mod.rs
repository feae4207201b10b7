//! The reverse proxy's own work: streams, bounds, upstreams, tunnels, the end.

mod future_size;
mod graceful_shutdown;
mod limits;
mod listeners;
mod malformed;
mod retries;
mod streams;
mod tls;
mod websockets;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use huggate::server::{Running, ServerSettings};
use huggate::upstream::{UpstreamSettings, UpstreamUrl};
use huggate::{Gate, PathPattern, Route};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::world::{self, SECRET};

/// How long anything may take before a test is given up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A proxy that lets everybody in, before an app that a test plays by hand.
pub(crate) struct Stand {
    pub(crate) address: String,
    pub(crate) running: Running,
    pub(crate) ended: tokio::task::JoinHandle<bool>,
    pub(crate) gate: Gate,
}

impl Stand {
    /// Before whatever listens at `app`.
    pub(crate) async fn before(app: SocketAddr) -> Self {
        Self::with(app, |_| {}, |_| {}).await
    }

    pub(crate) async fn with(
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

    /// Sends these bytes and leaves the connection open.
    pub(crate) async fn open(&self, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

/// A gate with nothing but public routes; its provider is nowhere.
pub(crate) async fn public_gate(public_url: &str) -> Gate {
    Gate::builder()
        .public_url(public_url)
        .issuer("http://127.0.0.1:1")
        .public_client("nobody")
        .secret(SECRET)
        .allow_anyone()
        .route(Route::path(PathPattern::parse("/**").unwrap()).public())
        .build()
        .await
        .unwrap()
}

/// An app that a test plays: it sees each connection as a stream of bytes.
pub(crate) struct ByHand {
    listener: TcpListener,
}

impl ByHand {
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self { listener }, address)
    }

    /// The next connection, and the head of its first request.
    pub(crate) async fn request(&self) -> (TcpStream, String) {
        let (mut stream, _) = patiently(self.listener.accept()).await.unwrap();
        let head = head(&mut stream).await;
        (stream, head)
    }
}

/// An app that answers each request with `200` and its own head as the body, and
/// counts connections.
pub(crate) async fn telling() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                loop {
                    let head = head(&mut stream).await;
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

/// Reads up to the end of a head; empty if the other side closed before it.
pub(crate) async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match patiently(stream.read_u8()).await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Reads until `end` was seen.
pub(crate) async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        match patiently(stream.read_u8()).await {
            Ok(byte) => bytes.push(byte),
            Err(_) => panic!("{end:?} did not come after {:?}", String::from_utf8_lossy(&bytes)),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// Waits, but not for ever.
pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}

/// Waits until the other side has closed.
pub(crate) async fn closed(stream: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.is_ok()
}
