//! The end: what is under way is finished. And panics, which end one request.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use huggate::server::{Running, Server};
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::{ByHand, Stand, head, patiently, until};
use crate::world::{self, raw};

#[tokio::test]
async fn what_is_under_way_is_finished_and_nothing_new_is_taken() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let mut busy = stand.open(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let mut idle = stand.open(b"").await;
    stand.gate.drain();
    let ready =
        raw(&stand.address, b"GET /oauth2/readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    stand.running.stop.cancel();
    assert!(super::closed(&mut idle).await, "an idle connection holds the end up");
    let refused = patiently(async {
        loop {
            if TcpStream::connect(&stand.address).await.is_err() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(refused.await);
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n").await.unwrap();
    let answer = head(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    upstream.write_all(b"done").await.unwrap();
    until(&mut busy, "done").await;
    assert!(patiently(stand.ended).await.unwrap(), "it did not finish in time");
}

#[tokio::test]
async fn what_takes_too_long_is_cut() {
    let (app, address) = ByHand::start().await;
    let stand =
        Stand::with(address, |_| {}, |server| server.drain_timeout = Duration::from_millis(100)).await;
    let _busy = stand.open(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let _upstream = app.request().await;
    stand.running.stop.cancel();
    assert!(!patiently(stand.ended).await.unwrap());
}

#[tokio::test]
async fn a_panic_ends_its_request_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::new(world::server(), Running::default()).unwrap();
    let service = |request: http::Request<Incoming>| async move {
        assert_ne!(request.uri().path(), "/panic", "on purpose");
        http::Response::new(Full::<Bytes>::from("fine"))
    };
    tokio::spawn(server.run(world::listeners(listener), service));
    let mut client = TcpStream::connect(&address).await.unwrap();
    for (path, status) in [("/", "200"), ("/panic", "500"), ("/", "200"), ("/panic", "500"), ("/", "200")] {
        client.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let answer = head(&mut client).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        let length: usize =
            answer.split("content-length: ").nth(1).unwrap().split('\r').next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        patiently(tokio::io::AsyncReadExt::read_exact(&mut client, &mut body)).await.unwrap();
    }
}
