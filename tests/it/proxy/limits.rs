//! What a client sends is bounded, in size and in time.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{ByHand, Stand, closed, head, patiently, telling, until};
use crate::world::raw;

#[tokio::test]
async fn headers_past_the_limit_are_431_and_a_body_past_it_413() {
    let (app, _) = telling().await;
    let stand =
        Stand::with(app, |upstream| upstream.body_bytes = Some(1000), |server| server.header_bytes = 8192)
            .await;
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(9000));
    assert!(raw(&stand.address, long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert!(raw(&stand.address, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let declared = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1001\r\n\r\n";
    let answer = raw(&stand.address, declared.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("1000 bytes"), "{answer}");
}

#[tokio::test]
async fn a_body_that_grows_past_the_limit_is_413_too() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::with(address, |upstream| upstream.body_bytes = Some(1000), |_| {}).await;
    let mut client = stand
        .open(b"POST / HTTP/1.1\r\nhost: x\r\naccept: text/html\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let (mut upstream, _) = app.request().await;
    for _ in 0..3 {
        // The proxy may have answered and closed in the middle.
        let _ = client.write_all(format!("190\r\n{}\r\n", "x".repeat(0x190)).as_bytes()).await;
    }
    let answer = head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(closed(&mut upstream).await, "the app must not take the part for the whole");
}

#[tokio::test]
async fn silent_and_slow_clients_are_cut_and_others_are_served_meanwhile() {
    let (app, _) = telling().await;
    let stand = Stand::with(
        app,
        |_| {},
        |server| {
            server.header_timeout = Duration::from_millis(400);
            server.idle_timeout = Duration::from_secs(60);
        },
    )
    .await;
    let began = Instant::now();
    let mut silent = TcpStream::connect(&stand.address).await.unwrap();
    let mut slow = stand.open(b"GET / HTTP/1.1\r\nhost: x\r\nx-sl").await;
    // A connection that waits for its next request has another time.
    let mut kept = stand.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until(&mut kept, "host: x\r\n").await;
    assert!(closed(&mut silent).await && closed(&mut slow).await);
    assert!(began.elapsed() >= Duration::from_millis(400));
    kept.write_all(b"GET /again HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    until(&mut kept, "GET /again HTTP/1.1\r\n").await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_its_own_time() {
    let (app, _) = telling().await;
    let stand = Stand::with(app, |_| {}, |server| server.idle_timeout = Duration::from_millis(300)).await;
    let mut client = stand.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    until(&mut client, "host: x\r\n").await;
    assert!(closed(&mut client).await);
}

#[tokio::test]
async fn a_request_may_take_longer_than_headers_and_keep_alive_together() {
    let (app, address) = ByHand::start().await;
    let short = Duration::from_millis(100);
    let stand =
        Stand::with(address, |_| {}, |server| (server.header_timeout, server.idle_timeout) = (short, short))
            .await;
    let mut client = stand.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    tokio::time::sleep(short * 6).await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    until(&mut client, "\r\n\r\nok").await;
}

#[tokio::test]
async fn a_connection_past_the_limit_waits_for_its_turn() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::with(address, |_| {}, |server| server.connections = 1).await;
    let mut first = stand.open(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let mut second = stand.open(b"GET /2 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let early = tokio::time::timeout(Duration::from_millis(200), head(&mut second)).await;
    assert!(early.is_err(), "it was served beside the first: {early:?}");
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    until(&mut first, "ok").await;
    let mut upstream = upstream;
    assert!(head(&mut upstream).await.starts_with("GET /2 "), "the app keeps its connection");
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert!(patiently(head(&mut second)).await.starts_with("HTTP/1.1 204"));
    assert!(closed(&mut first).await, "it was idle, and made room");
}
