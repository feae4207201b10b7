//! Limits on the size and the time of requests.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{ScriptedApp, TestProxy, echo_app, read_head, read_until, wait_closed, with_timeout};
use crate::world::raw;

#[tokio::test]
async fn headers_past_the_limit_are_431_and_a_declared_body_past_it_413() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start_with(
        app,
        |upstream| upstream.body_bytes = Some(1000),
        |server| server.header_bytes = 8192,
    )
    .await;
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(9000));
    assert!(raw(&proxy.address, long.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert!(raw(&proxy.address, many.as_bytes()).await.starts_with("HTTP/1.1 431"));
    let declared = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1001\r\n\r\n";
    let answer = raw(&proxy.address, declared.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("1000 bytes"), "{answer}");
}

#[tokio::test]
async fn a_chunked_body_past_the_limit_is_413() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start_with(address, |upstream| upstream.body_bytes = Some(1000), |_| {}).await;
    let mut client = proxy
        .open(b"POST / HTTP/1.1\r\nhost: x\r\naccept: text/html\r\ntransfer-encoding: chunked\r\n\r\n")
        .await;
    let (mut upstream, _) = app.request().await;
    for _ in 0..3 {
        // The proxy may already have answered and closed the connection.
        let _ = client.write_all(format!("190\r\n{}\r\n", "x".repeat(0x190)).as_bytes()).await;
    }
    let answer = read_head(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(wait_closed(&mut upstream).await, "the partial body must not look complete to the app");
}

#[tokio::test]
async fn silent_and_slow_clients_are_closed_and_others_are_served() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start_with(
        app,
        |_| {},
        |server| {
            server.header_timeout = Duration::from_millis(400);
            server.idle_timeout = Duration::from_secs(60);
        },
    )
    .await;
    let began = Instant::now();
    let mut silent = TcpStream::connect(&proxy.address).await.unwrap();
    let mut slow = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\nx-sl").await;
    // An idle connection has another timeout.
    let mut kept = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut kept, "host: x\r\n").await;
    assert!(wait_closed(&mut silent).await && wait_closed(&mut slow).await);
    assert!(began.elapsed() >= Duration::from_millis(400));
    kept.write_all(b"GET /again HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    read_until(&mut kept, "GET /again HTTP/1.1\r\n").await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_idle_timeout() {
    let (app, _) = echo_app().await;
    let proxy =
        TestProxy::start_with(app, |_| {}, |server| server.idle_timeout = Duration::from_millis(300)).await;
    let mut client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut client, "host: x\r\n").await;
    assert!(wait_closed(&mut client).await);
}

#[tokio::test]
async fn header_and_idle_timeouts_do_not_apply_to_a_request_in_flight() {
    let (app, address) = ScriptedApp::start().await;
    let short = Duration::from_millis(100);
    let proxy = TestProxy::start_with(
        address,
        |_| {},
        |server| (server.header_timeout, server.idle_timeout) = (short, short),
    )
    .await;
    let mut client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    tokio::time::sleep(short * 6).await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    read_until(&mut client, "\r\n\r\nok").await;
}

#[tokio::test]
async fn a_connection_past_the_limit_waits_until_another_is_evicted() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start_with(address, |_| {}, |server| server.connections = 1).await;
    let mut first = proxy.open(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let mut second = proxy.open(b"GET /2 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let early = tokio::time::timeout(Duration::from_millis(200), read_head(&mut second)).await;
    assert!(early.is_err(), "it was served beside the first: {early:?}");
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    read_until(&mut first, "ok").await;
    let mut upstream = upstream;
    assert!(read_head(&mut upstream).await.starts_with("GET /2 "), "the app keeps its connection");
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert!(with_timeout(read_head(&mut second)).await.starts_with("HTTP/1.1 204"));
    assert!(wait_closed(&mut first).await, "the idle connection was not evicted");
}
