//! How many connections an address has, and which of them are closed; drained gates.

use huggate::Gate;
use huggate::clock::Clock;
use huggate::config::{Config, Environment};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::http2;
use crate::proxy::{ScriptedApp, TestProxy, echo_app, read_head, read_until, wait_closed, with_timeout};
use crate::world::{self, Log};

/// Sends a request that keeps the connection, and reads its response.
async fn fetch(client: &mut TcpStream) -> bool {
    let _ = client.write_all(b"GET /oauth2/healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    if !read_head(client).await.starts_with("HTTP/1.1 200") {
        return false;
    }
    read_until(client, "ok\n").await;
    true
}

async fn proxy_with(app: std::net::SocketAddr, per_address: usize) -> TestProxy {
    TestProxy::start_with(app, |_| {}, |server| server.connections_per_address = per_address).await
}

#[tokio::test]
async fn an_idle_connection_of_an_address_makes_room_for_its_next() {
    let log = Log::start();
    let (app, _) = echo_app().await;
    let proxy = proxy_with(app, 1).await;
    let mut idle = TcpStream::connect(&proxy.address).await.unwrap();
    assert!(fetch(&mut idle).await);
    for _ in 0..5 {
        let mut next = TcpStream::connect(&proxy.address).await.unwrap();
        assert!(fetch(&mut next).await, "the address is shut out");
        assert!(wait_closed(&mut idle).await);
        idle = next;
    }
    let warnings = log.text().matches("limits.connections_per_address").count();
    assert_eq!(warnings, 1, "the log says so, and not for each connection: {}", log.text());
}

#[tokio::test]
async fn an_idle_http_2_connection_makes_room_too() {
    let (app, _) = echo_app().await;
    let proxy = proxy_with(app, 1).await;
    let mut idle = http2::connect(&proxy.address).await;
    let response = http2::ask(&mut idle, http2::get("/oauth2/healthz")).await;
    assert_eq!(http2::text(response).await, "ok\n");
    let mut next = TcpStream::connect(&proxy.address).await.unwrap();
    assert!(fetch(&mut next).await, "the address is shut out");
    with_timeout(async {
        while !idle.is_closed() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_with_a_request_in_flight_is_not_closed_for_another() {
    let log = Log::start();
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_with(address, 1).await;
    let mut busy = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let mut second = TcpStream::connect(&proxy.address).await.unwrap();
    assert!(!fetch(&mut second).await);
    assert!(log.text().contains("none of them is idle"), "{}", log.text());
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    read_until(&mut busy, "\r\n\r\nok").await;
    let mut third = TcpStream::connect(&proxy.address).await.unwrap();
    assert!(fetch(&mut third).await, "it is idle now");
}

#[tokio::test]
async fn a_drain_during_a_reload_leaves_readyz_at_503() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    let text = format!(
        "public_url = \"http://x\"\nupstream = \"http://127.0.0.1:1\"\n\
         [provider]\nissuer = \"http://127.0.0.1:1\"\nclient_id = \"x\"\n\
         [session]\nsecret = \"{}\"\n[access]\nallow = \"anyone\"\n",
        world::SECRET
    );
    std::fs::write(&file, text).unwrap();
    let settings = || Config::load(Some(&file), &Environment::default()).unwrap().gate;
    let gate = Gate::new(settings(), Clock::manual(world::NOW)).unwrap();
    let next = gate.prepare_reload(settings()).unwrap().activate();
    // The process asks the gate to drain that it knows, while the other one takes its place.
    gate.drain();
    let (app, _) = echo_app().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let to_app = world::upstream(huggate::upstream::UpstreamUrl::parse(&format!("http://{app}")).unwrap());
    let _running = world::proxy(&next, &to_app, world::server(), listener);
    let ready =
        world::raw(&address, b"GET /oauth2/readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
}
