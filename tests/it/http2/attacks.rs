//! Attacks over HTTP/2: each is limited, and other clients are served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{ask, connect, get};
use crate::proxy::{ScriptedApp, TestProxy, echo_app, read_head, wait_closed, with_timeout};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// A frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A connection after the preface and SETTINGS.
async fn connect_raw(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).await.unwrap();
    stream
}

/// Reads up to a frame of this kind, and returns its payload. Answers PING frames.
async fn until_frame(stream: &mut TcpStream, wanted: u8) -> Vec<u8> {
    loop {
        let mut head = [0; 9];
        with_timeout(stream.read_exact(&mut head)).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        with_timeout(stream.read_exact(&mut payload)).await.unwrap();
        match head[3] {
            kind if kind == wanted => return payload,
            PING if head[4] == 0 => stream.write_all(&frame(PING, 1, 0, &payload)).await.unwrap(),
            _ => {}
        }
    }
}

/// Writes `piece` repeatedly until the other side closes or stalls; returns how many
/// bytes it took.
async fn flood(stream: &mut TcpStream, most: usize, mut piece: impl FnMut() -> Vec<u8>) -> usize {
    let mut sent = 0;
    while sent < most {
        let piece = piece();
        match tokio::time::timeout(Duration::from_secs(5), stream.write_all(&piece)).await {
            Ok(Ok(())) => sent += piece.len(),
            Ok(Err(_)) | Err(_) => return sent,
        }
    }
    sent
}

#[tokio::test]
async fn an_endless_header_block_closes_the_connection() {
    let (app, connections) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    // CVE-2024-27316: CONTINUATION frames without END_HEADERS.
    for piece in [vec![0; 16_000], vec![], vec![0x40, 1, b'a', 1, b'b']] {
        let mut stream = connect_raw(&proxy.address).await;
        stream.write_all(&frame(HEADERS, 0, 1, &[0x82, 0x84, 0x86])).await.unwrap();
        let most = 64 << 20;
        let sent = flood(&mut stream, most, || frame(CONTINUATION, 0, 1, &piece)).await;
        assert!(sent < most, "pieces of {} bytes are accepted without limit", piece.len());
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    assert_eq!(ask(&mut connect(&proxy.address).await, get("/")).await.status(), 200);
}

#[tokio::test]
async fn rapid_reset_closes_the_connection() {
    // CVE-2023-44487, with a slow app.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = listener.local_addr().unwrap();
    let arrived = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&arrived);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let head = read_head(&mut stream).await;
                if head.contains("GET /fine") {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    let _ = stream.write_all(answer).await;
                } else if !head.is_empty() {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
                let _ = stream.read(&mut [0; 1]).await;
            });
        }
    });
    let proxy = TestProxy::start(app).await;
    let stream = TcpStream::connect(&proxy.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let ended = tokio::spawn(connection);
    let attack = async {
        let mut client = client;
        for number in 0.. {
            let Ok(mut ready) = client.ready().await else { return number };
            let request = Request::get("http://gate.example/slow").body(()).unwrap();
            let Ok((_, mut stream)) = ready.send_request(request, true) else { return number };
            // So that some requests are in flight.
            tokio::task::yield_now().await;
            stream.send_reset(h2::Reason::CANCEL);
            client = ready;
        }
        usize::MAX
    };
    let requests = with_timeout(attack).await;
    assert!(requests < 20_000, "{requests} requests were canceled on one connection");
    let _ = with_timeout(ended).await;
    assert!(arrived.load(Ordering::SeqCst) <= 1_000, "{arrived:?} of them reached the app");
    assert_eq!(ask(&mut connect(&proxy.address).await, get("/fine")).await.status(), 200);
}

#[tokio::test]
async fn a_silent_client_is_closed_in_every_state() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start_with(
        app,
        |_| {},
        |server| {
            server.header_timeout = Duration::from_millis(300);
            server.idle_timeout = Duration::from_millis(600);
        },
    )
    .await;
    let mut preface = TcpStream::connect(&proxy.address).await.unwrap();
    preface.write_all(&PREFACE[..10]).await.unwrap();
    assert!(wait_closed(&mut preface).await, "half a preface");
    let mut silent = connect_raw(&proxy.address).await;
    assert!(wait_closed(&mut silent).await, "no request");
    let mut half = connect_raw(&proxy.address).await;
    half.write_all(&frame(HEADERS, 0, 1, &[0x82])).await.unwrap();
    assert!(wait_closed(&mut half).await, "half a request");
    let mut pinging = connect_raw(&proxy.address).await;
    let pings = async {
        while pinging.write_all(&frame(PING, 0, 0, &[0; 8])).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    with_timeout(pings).await;
    // After a response the connection is idle, and the idle timeout applies.
    let mut client = connect(&proxy.address).await;
    assert_eq!(ask(&mut client, get("/")).await.status(), 200);
    with_timeout(async {
        while !client.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn concurrent_streams_are_limited() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start_with(address, |_| {}, |server| server.streams = 3).await;
    let stream = TcpStream::connect(&proxy.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    // The SETTINGS arrive with the first response.
    let mut open = Vec::new();
    let first = with_timeout(client.ready()).await.unwrap();
    client = first;
    let request = || Request::get("http://gate.example/").body(()).unwrap();
    open.push(client.send_request(request(), true).unwrap());
    let held = app.request().await;
    assert_eq!(client.current_max_send_streams(), 3);
    drop((open, held));
}

#[tokio::test]
async fn shutdown_sends_goaway_and_completes_requests_in_flight() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = connect_raw(&proxy.address).await;
    // GET http://x/, with END_STREAM.
    let request = frame(HEADERS, 4 | 1, 1, &[0x82, 0x86, 0x84, 0x41, 1, b'x']);
    client.write_all(&request).await.unwrap();
    let (mut upstream, _) = app.request().await;
    proxy.running.stop();
    until_frame(&mut client, GOAWAY).await;
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    // :status 204 in HPACK's static table.
    assert_eq!(until_frame(&mut client, HEADERS).await.first(), Some(&0x89));
    assert!(wait_closed(&mut client).await);
    assert!(with_timeout(proxy.ended).await.unwrap(), "it did not finish in time");
}

#[tokio::test]
async fn an_upgrade_to_h2c_is_ignored() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    let answer = crate::world::raw(
        &proxy.address,
        b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("h2c") && !answer.contains("http2-settings"), "{answer}");
    // So is a preface in the middle of a connection.
    let mut stream = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    crate::proxy::read_until(&mut stream, "host: x\r\n").await;
    stream.write_all(PREFACE).await.unwrap();
    let mut rest = Vec::new();
    let _ = with_timeout(stream.read_to_end(&mut rest)).await;
    assert!(!rest.contains(&GOAWAY) || rest.starts_with(b"\r\nHTTP/1.1 4"), "{rest:?}");
}
