//! Graceful shutdown; and panics, which end only their request.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use huggate::server::{Running, Server};
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::{ScriptedApp, TestProxy, read_head, read_until, with_timeout};
use crate::world::{self, raw};

#[tokio::test]
async fn requests_in_flight_are_completed_and_no_connection_is_accepted() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut busy = proxy.open(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let mut idle = proxy.open(b"").await;
    proxy.gate.drain();
    let ready =
        raw(&proxy.address, b"GET /oauth2/readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    proxy.running.stop();
    assert!(super::wait_closed(&mut idle).await, "an idle connection delays the shutdown");
    let refused = with_timeout(async {
        loop {
            if TcpStream::connect(&proxy.address).await.is_err() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(refused.await);
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").await.unwrap();
    let answer = read_head(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    upstream.write_all(b"done").await.unwrap();
    read_until(&mut busy, "done").await;
    assert!(with_timeout(proxy.ended).await.unwrap(), "it did not finish in time");
}

#[tokio::test]
async fn requests_past_the_drain_timeout_are_aborted() {
    let (app, address) = ScriptedApp::start().await;
    let proxy =
        TestProxy::start_with(address, |_| {}, |server| server.drain_timeout = Duration::from_millis(100))
            .await;
    let _busy = proxy.open(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let _upstream = app.request().await;
    proxy.running.stop();
    assert!(!with_timeout(proxy.ended).await.unwrap());
}

#[tokio::test]
async fn a_panic_ends_its_request_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::new(world::server(), Running::default()).unwrap();
    let service = |request: http::Request<Incoming>, _context| async move {
        assert_ne!(request.uri().path(), "/panic", "on purpose");
        http::Response::new(Full::<Bytes>::from("fine"))
    };
    tokio::spawn(server.run(world::listeners(listener), service));
    let mut client = TcpStream::connect(&address).await.unwrap();
    for (path, status) in [("/", "200"), ("/panic", "500"), ("/", "200"), ("/panic", "500"), ("/", "200")] {
        client.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let answer = read_head(&mut client).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        let length: usize =
            answer.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        with_timeout(tokio::io::AsyncReadExt::read_exact(&mut client, &mut body)).await.unwrap();
    }
}
