//! Connections are pooled per thread, and limited over all threads.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::future::join_all;
use huggate::proxy::Proxy;
use huggate::server::{Running, Server};
use huggate::upstream::{Upstream, UpstreamSettings, UpstreamUrl};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::runtime;

use super::{get, proxy_for};
use crate::proxy::{ScriptedApp, echo_app, public_gate, read_head, read_until, wait_closed, with_timeout};
use crate::world::{self, Ask, raw, upgraded};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test]
async fn at_the_connection_limit_a_request_waits_and_then_gets_503() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| {
        upstream.connections = 1;
        upstream.connect_timeout = Duration::from_millis(300);
    })
    .await;
    let mut first = proxy.open(b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let late = raw(&proxy.address, &get("/late")).await;
    assert!(late.starts_with("HTTP/1.1 503") && late.contains("retry-after: 1\r\n"), "{late}");
    assert!(late.contains("upstream_busy"), "{late}");
    // A waiting request gets the connection as soon as it is idle,
    let mut waiting = proxy.open(b"GET /waiting HTTP/1.1\r\nhost: x\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    upstream.write_all(OK).await.unwrap();
    read_until(&mut first, "\r\n\r\nok").await;
    assert!(read_head(&mut upstream).await.starts_with("GET /waiting"));
    upstream.write_all(OK).await.unwrap();
    read_until(&mut waiting, "\r\n\r\nok").await;
    // or opens a new one as soon as the old one is closed.
    let mut last = proxy.open(b"GET /last HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(read_head(&mut upstream).await.starts_with("GET /last"));
    let mut after = proxy.open(b"GET /after HTTP/1.1\r\nhost: x\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    drop(upstream);
    read_until(&mut last, "\r\n\r\nok").await;
    let (mut fresh, request) = app.request().await;
    assert!(request.starts_with("GET /after"), "{request}");
    fresh.write_all(OK).await.unwrap();
    read_until(&mut after, "\r\n\r\nok").await;
}

#[tokio::test]
async fn a_websocket_counts_until_it_is_closed() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| {
        upstream.connections = 1;
        upstream.connect_timeout = Duration::from_millis(200);
    })
    .await;
    let host = proxy.address.clone();
    let tunnel = tokio::spawn(async move { upgraded(&host, Ask::websocket("/ws").with("host", "x")).await });
    let (mut upstream, _) = app.request().await;
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    upstream.write_all(switch).await.unwrap();
    let tunnel = with_timeout(tunnel).await.unwrap();
    assert!(raw(&proxy.address, &get("/")).await.starts_with("HTTP/1.1 503"));
    drop(tunnel);
    assert!(wait_closed(&mut upstream).await);
    drop(upstream);
    let mut client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(OK).await.unwrap();
    read_until(&mut client, "\r\n\r\nok").await;
}

/// One proxy on `threads` threads, each with a runtime and a listener of its own.
pub(crate) async fn on_threads(
    app: SocketAddr,
    threads: usize,
    change: impl FnOnce(&mut UpstreamSettings),
) -> Vec<String> {
    let gate = public_gate("http://127.0.0.1:9").await;
    let mut settings = world::upstream(UpstreamUrl::parse(&format!("http://{app}")).unwrap());
    change(&mut settings);
    let running = Running::default();
    let upstream = Upstream::new(&settings, &running).unwrap();
    let proxy = Proxy::new(gate, upstream);
    let start = |_| {
        let (proxy, (said, address)) = (proxy.clone(), mpsc::channel());
        std::thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                said.send(listener.local_addr().unwrap().to_string()).unwrap();
                let service = move |request, context| {
                    let proxy = proxy.clone();
                    async move { proxy.handle(request, context).await }
                };
                Server::new(world::server(), Running::default())
                    .unwrap()
                    .run(world::listeners(listener), service)
                    .await
            })
        });
        address.recv().unwrap()
    };
    (0..threads).map(start).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_thread_pools_its_own_connections_below_the_limit() {
    let (app, connections) = echo_app().await;
    let fronts = on_threads(app, 3, |_| {}).await;
    for _ in 0..5 {
        for front in &fronts {
            assert!(raw(front, &get("/")).await.starts_with("HTTP/1.1 200"));
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
    // With a limit of one, the threads share the connection.
    let (app, connections) = echo_app().await;
    let fronts = on_threads(app, 3, |upstream| upstream.connections = 1).await;
    for _ in 0..5 {
        for front in &fronts {
            let answer = raw(front, &get("/")).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_limit_holds_on_a_multi_threaded_runtime() {
    let (app, connections) = echo_app().await;
    let proxy = proxy_for(&[format!("http://{app}")], |upstream| upstream.connections = 8).await;
    let request = get("/");
    for _ in 0..5 {
        let load = (0..100).map(|_| raw(&proxy.address, &request));
        let answers = with_timeout(join_all(load)).await;
        assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")));
    }
    assert!(connections.load(Ordering::SeqCst) <= 8, "{connections:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_holds_under_load_and_every_request_is_served() {
    let (app, connections) = echo_app().await;
    let fronts = on_threads(app, 2, |upstream| upstream.connections = 4).await;
    let request = get("/");
    let load = (0..400).map(|number| {
        let (front, request) = (&fronts[number % fronts.len()], &request);
        async move { raw(front, request).await.starts_with("HTTP/1.1 200") }
    });
    assert!(with_timeout(join_all(load)).await.into_iter().all(|fine| fine));
    assert!(connections.load(Ordering::SeqCst) <= 4, "{connections:?}");
}
