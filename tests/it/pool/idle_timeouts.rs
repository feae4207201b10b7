//! What stands still is cut, and whoever is at fault is named.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Http2App, stand, whole};
use crate::proxy::{ByHand, closed, head, patiently, until};
use crate::world::{Ask, upgraded};

const SHORT: Duration = Duration::from_millis(400);
/// For what must not be cut: long enough for a machine that has much else to do.
const LONGER: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_response_that_stands_still_is_cut_and_not_taken_for_whole() {
    let (app, address) = ByHand::start().await;
    let stand = stand(&[format!("http://{address}")], |upstream| upstream.stream_timeout = SHORT).await;
    for (framing, part) in [("content-length: 100", "part"), ("transfer-encoding: chunked", "4\r\npart\r\n")]
    {
        let mut client = stand.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let (mut upstream, _) = app.request().await;
        let began = Instant::now();
        upstream.write_all(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{part}").as_bytes()).await.unwrap();
        let mut got = String::new();
        let _ = patiently(client.read_to_string(&mut got)).await;
        assert!(began.elapsed() >= SHORT);
        assert!(got.contains("part") && !got.ends_with("0\r\n\r\n"), "{got}");
        assert!(closed(&mut upstream).await);
    }
}

#[tokio::test]
async fn a_stream_that_moves_is_never_cut() {
    let (app, address) = ByHand::start().await;
    let stand = stand(&[format!("http://{address}")], |upstream| upstream.stream_timeout = LONGER).await;
    let mut client = stand.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n").await.unwrap();
    head(&mut client).await;
    for _ in 0..20 {
        tokio::time::sleep(LONGER / 15).await;
        upstream.write_all(b"x").await.unwrap();
        assert_eq!(patiently(client.read_u8()).await.unwrap(), b'x');
    }
}

#[tokio::test]
async fn a_client_that_stops_reading_holds_the_app_no_longer_than_that() {
    let (app, address) = ByHand::start().await;
    let stand = stand(&[format!("http://{address}")], |upstream| upstream.stream_timeout = SHORT).await;
    let _client = stand.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await.unwrap();
    let piece = vec![b'x'; 1 << 20];
    let cut = patiently(async { while upstream.write_all(&piece).await.is_ok() {} });
    cut.await;
}

#[tokio::test]
async fn an_upload_that_stands_still_is_the_clients_fault_or_the_apps() {
    // The client says that more comes, and sends nothing.
    let (app, address) = ByHand::start().await;
    let stand_before =
        stand(&[format!("http://{address}")], |upstream| upstream.response_timeout = SHORT).await;
    let mut client = stand_before.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\npart").await;
    let (mut upstream, _) = app.request().await;
    let answer = patiently(head(&mut client)).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(closed(&mut upstream).await);
    // The client sends and sends, and the app does not read.
    let mut client =
        stand_before.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n").await;
    let (_upstream, _) = app.request().await;
    let (mut reading, mut writing) = client.split();
    let piece = vec![b'x'; 1 << 20];
    let mut answer = vec![0; 12];
    patiently(async {
        tokio::select! {
            () = async { while writing.write_all(&piece).await.is_ok() {}; std::future::pending().await } => {}
            read = reading.read_exact(&mut answer) => { read.unwrap(); }
        }
    })
    .await;
    assert_eq!(String::from_utf8(answer).unwrap(), "HTTP/1.1 504");
}

#[tokio::test]
async fn an_upload_over_http2_that_stands_still_is_the_clients_fault() {
    let app = Http2App::start(
        |request| async move {
            let _ = http_body_util::BodyExt::collect(request.into_body()).await;
            whole("whole")
        },
        |_| {},
    )
    .await;
    let stand = stand(&[app.url()], |upstream| upstream.response_timeout = SHORT).await;
    let mut client = stand.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\npart").await;
    assert!(patiently(head(&mut client)).await.starts_with("HTTP/1.1 408"));
    // The connection to the app serves on.
    let mut client = stand.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nfull").await;
    until(&mut client, "whole").await;
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_cut() {
    let (app, address) = ByHand::start().await;
    let stand = stand(&[format!("http://{address}")], |upstream| upstream.stream_timeout = LONGER).await;
    let host = stand.address.clone();
    let tunnel = tokio::spawn(async move { upgraded(&host, Ask::websocket("/ws").with("host", "x")).await });
    let (mut upstream, _) = app.request().await;
    upstream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .await
        .unwrap();
    let mut tunnel = patiently(tunnel).await.unwrap();
    // It lives as long as something moves, in either direction.
    for _ in 0..8 {
        tokio::time::sleep(LONGER / 6).await;
        upstream.write_all(b"\x89\x00").await.unwrap();
        let mut ping = [0; 2];
        patiently(tunnel.read_exact(&mut ping)).await.unwrap();
    }
    let mut rest = Vec::new();
    let _ = patiently(tunnel.read_to_end(&mut rest)).await;
    assert!(rest.is_empty() && closed(&mut upstream).await);
}
