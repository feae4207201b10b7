//! Settings are replaced while requests are in flight.

use std::sync::atomic::Ordering;

use http_body_util::BodyExt;
use huggate::proxy::Proxy;
use huggate::server::{Running, Server};
use huggate::upstream::{Upstream, UpstreamUrl};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::get;
use crate::proxy::{ScriptedApp, echo_app, public_gate, read_head, read_until, wait_closed};
use crate::world::{self, raw};

async fn serve(upstream: Upstream) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let proxy = Proxy::new(public_gate(&format!("http://{address}")).await, upstream);
    let service = move |request, context| {
        let proxy = proxy.clone();
        async move { proxy.handle(request, context).await.map(BodyExt::boxed_unsync) }
    };
    tokio::spawn(
        Server::new(world::server(), Running::default()).unwrap().run(world::listeners(listener), service),
    );
    address
}

#[tokio::test]
async fn kept_endpoints_keep_their_connections_and_requests_to_removed_ones_finish() {
    let (staying, connections) = echo_app().await;
    let (going, going_address) = ScriptedApp::start().await;
    let url = |address| UpstreamUrl::parse(&format!("http://{address}")).unwrap();
    let mut settings = world::upstream(url(staying));
    settings.default.urls.push(url(going_address));
    let running = Running::default();
    let before = Upstream::new(&settings, &running).unwrap();
    let old = serve(before.clone()).await;
    // They take turns.
    assert!(raw(&old, &get("/")).await.starts_with("HTTP/1.1 200"));
    let mut client = tokio::net::TcpStream::connect(&old).await.unwrap();
    client.write_all(&get("/long")).await.unwrap();
    let (mut upstream, _) = going.request().await;

    settings.default.urls.pop();
    settings.connections = 2;
    let after = before.reloaded(&settings).unwrap();
    drop(before);
    let new = serve(after).await;
    for _ in 0..5 {
        assert!(raw(&new, &get("/")).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1, "its connection was not reused");
    // The request in flight is completed.
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlo").await.unwrap();
    read_head(&mut client).await;
    upstream.write_all(b"ng").await.unwrap();
    read_until(&mut client, "long").await;
}

#[tokio::test]
async fn a_dropped_upstream_closes_its_idle_connections() {
    let (app, address) = ScriptedApp::start().await;
    let settings = world::upstream(UpstreamUrl::parse(&format!("http://{address}")).unwrap());
    let running = Running::default();
    let before = Upstream::new(&settings, &running).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = listener.local_addr().unwrap().to_string();
    let gate = public_gate(&format!("http://{front}")).await;
    // The proxy is replaced in a slot, as a reload does.
    let slot = std::sync::Arc::new(std::sync::Mutex::new(Proxy::new(gate.clone(), before.clone())));
    let current = std::sync::Arc::clone(&slot);
    let service = move |request, context| {
        let proxy = current.lock().unwrap().clone();
        async move { proxy.handle(request, context).await }
    };
    tokio::spawn(
        Server::new(world::server(), Running::default()).unwrap().run(world::listeners(listener), service),
    );
    let mut client = tokio::net::TcpStream::connect(&front).await.unwrap();
    client.write_all(&get("/")).await.unwrap();
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    read_until(&mut client, "\r\n\r\nok").await;
    let (elsewhere, _) = echo_app().await;
    let other = world::upstream(UpstreamUrl::parse(&format!("http://{elsewhere}")).unwrap());
    *slot.lock().unwrap() = Proxy::new(gate, before.reloaded(&other).unwrap());
    drop(before);
    assert!(wait_closed(&mut upstream).await);
    assert!(raw(&front, &get("/")).await.starts_with("HTTP/1.1 200"));
}
