//! Idle transfers are closed, and the status tells which side stalled.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Http2App, proxy_for, reply};
use crate::proxy::{ScriptedApp, read_head, read_until, wait_closed, with_timeout};
use crate::world::{Ask, upgraded};

const SHORT: Duration = Duration::from_millis(400);
/// For transfers that must not be closed: long enough for a busy machine.
const LONGER: Duration = Duration::from_secs(3);

#[tokio::test]
async fn an_idle_response_is_closed_and_does_not_look_complete() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| upstream.stream_timeout = SHORT).await;
    for (framing, part) in [("content-length: 100", "part"), ("transfer-encoding: chunked", "4\r\npart\r\n")]
    {
        let mut client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let (mut upstream, _) = app.request().await;
        let began = Instant::now();
        upstream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{part}").as_bytes()).await.unwrap();
        let mut got = String::new();
        let _ = with_timeout(client.read_to_string(&mut got)).await;
        assert!(began.elapsed() >= SHORT);
        assert!(got.contains("part") && !got.ends_with("0\r\n\r\n"), "{got}");
        assert!(wait_closed(&mut upstream).await);
    }
}

#[tokio::test]
async fn a_response_that_makes_progress_is_not_closed() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| upstream.stream_timeout = LONGER).await;
    let mut client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n").await.unwrap();
    read_head(&mut client).await;
    for _ in 0..20 {
        tokio::time::sleep(LONGER / 15).await;
        upstream.write_all(b"x").await.unwrap();
        assert_eq!(with_timeout(client.read_u8()).await.unwrap(), b'x');
    }
}

#[tokio::test]
async fn a_response_that_the_client_does_not_read_is_closed() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| upstream.stream_timeout = SHORT).await;
    let _client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await.unwrap();
    let piece = vec![b'x'; 1 << 20];
    let closed = with_timeout(async { while upstream.write_all(&piece).await.is_ok() {} });
    closed.await;
}

#[tokio::test]
async fn a_stalled_upload_is_408_or_504_depending_on_the_side_that_stalled() {
    // The client announces a longer body than it sends.
    let (app, address) = ScriptedApp::start().await;
    let first_proxy =
        proxy_for(&[format!("http://{address}")], |upstream| upstream.response_timeout = SHORT).await;
    let mut client = first_proxy.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\npart").await;
    let (mut upstream, _) = app.request().await;
    let answer = with_timeout(read_head(&mut client)).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(wait_closed(&mut upstream).await);
    // The client keeps sending, and the app does not read.
    let mut client =
        first_proxy.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n").await;
    let (_upstream, _) = app.request().await;
    let (mut reading, mut writing) = client.split();
    let piece = vec![b'x'; 1 << 20];
    let mut answer = vec![0; 12];
    with_timeout(async {
        tokio::select! {
            () = async { while writing.write_all(&piece).await.is_ok() {}; std::future::pending().await } => {}
            read = reading.read_exact(&mut answer) => { read.unwrap(); }
        }
    })
    .await;
    assert_eq!(String::from_utf8(answer).unwrap(), "HTTP/1.1 504");
}

#[tokio::test]
async fn an_upload_that_the_client_stalls_is_408_with_an_http2_app() {
    let app = Http2App::start(
        |request| async move {
            let _ = http_body_util::BodyExt::collect(request.into_body()).await;
            reply("whole")
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url()], |upstream| upstream.response_timeout = SHORT).await;
    let mut client = proxy.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\npart").await;
    assert!(with_timeout(read_head(&mut client)).await.starts_with("HTTP/1.1 408"));
    // The connection to the app is still in use.
    let mut client = proxy.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nfull").await;
    read_until(&mut client, "whole").await;
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn an_idle_websocket_is_closed() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| upstream.stream_timeout = LONGER).await;
    let host = proxy.address.clone();
    let tunnel = tokio::spawn(async move { upgraded(&host, Ask::websocket("/ws").with("host", "x")).await });
    let (mut upstream, _) = app.request().await;
    upstream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .await
        .unwrap();
    let mut tunnel = with_timeout(tunnel).await.unwrap();
    // Data in either direction keeps it open.
    for _ in 0..8 {
        tokio::time::sleep(LONGER / 6).await;
        upstream.write_all(b"\x89\x00").await.unwrap();
        let mut ping = [0; 2];
        with_timeout(tunnel.read_exact(&mut ping)).await.unwrap();
    }
    let mut rest = Vec::new();
    let _ = with_timeout(tunnel.read_to_end(&mut rest)).await;
    assert!(rest.is_empty() && wait_closed(&mut upstream).await);
}
