//! Clients that mean harm over HTTP/2 (threats 5): each is bounded, and others are
//! served meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{ask, connect, get};
use crate::proxy::{ByHand, Stand, closed, head, patiently, telling};

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

/// A connection that has said hello.
async fn hello(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).await.unwrap();
    stream
}

/// Reads up to a frame of this kind, and returns what is in it. A ping is answered.
async fn until_frame(stream: &mut TcpStream, wanted: u8) -> Vec<u8> {
    loop {
        let mut head = [0; 9];
        patiently(stream.read_exact(&mut head)).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        patiently(stream.read_exact(&mut payload)).await.unwrap();
        match head[3] {
            kind if kind == wanted => return payload,
            PING if head[4] == 0 => stream.write_all(&frame(PING, 1, 0, &payload)).await.unwrap(),
            _ => {}
        }
    }
}

/// Writes `piece` again and again until the other side has had enough; how many
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
async fn a_header_block_without_an_end_is_cut() {
    let (app, connections) = telling().await;
    let stand = Stand::before(app).await;
    // CVE-2024-27316 and its like: CONTINUATION frames, never the last one.
    for piece in [vec![0; 16_000], vec![], vec![0x40, 1, b'a', 1, b'b']] {
        let mut stream = hello(&stand.address).await;
        stream.write_all(&frame(HEADERS, 0, 1, &[0x82, 0x84, 0x86])).await.unwrap();
        let most = 64 << 20;
        let sent = flood(&mut stream, most, || frame(CONTINUATION, 0, 1, &piece)).await;
        assert!(sent < most, "it takes {} bytes at a time without an end", piece.len());
    }
    assert_eq!(connections.load(Ordering::SeqCst), 0);
    assert_eq!(ask(&mut connect(&stand.address).await, get("/")).await.status(), 200);
}

#[tokio::test]
async fn requests_that_are_taken_back_at_once_end_the_connection() {
    // CVE-2023-44487, rapid reset. The app is one that takes its time.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = listener.local_addr().unwrap();
    let arrived = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&arrived);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let counted = Arc::clone(&counted);
            tokio::spawn(async move {
                let head = head(&mut stream).await;
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
    let stand = Stand::before(app).await;
    let stream = TcpStream::connect(&stand.address).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let ended = tokio::spawn(connection);
    let attack = async {
        let mut client = client;
        for number in 0.. {
            let Ok(mut ready) = client.ready().await else { return number };
            let request = Request::get("http://gate.example/slow").body(()).unwrap();
            let Ok((_, mut stream)) = ready.send_request(request, true) else { return number };
            // Long enough for some to be under way.
            tokio::task::yield_now().await;
            stream.send_reset(h2::Reason::CANCEL);
            client = ready;
        }
        usize::MAX
    };
    let requests = patiently(attack).await;
    assert!(requests < 20_000, "{requests} requests were taken back on one connection");
    let _ = patiently(ended).await;
    assert!(arrived.load(Ordering::SeqCst) <= 1_000, "{arrived:?} of them reached the app");
    assert_eq!(ask(&mut connect(&stand.address).await, get("/fine")).await.status(), 200);
}

#[tokio::test]
async fn silence_is_cut_in_every_state() {
    let (app, _) = telling().await;
    let stand = Stand::with(
        app,
        |_| {},
        |server| {
            server.header_timeout = Duration::from_millis(300);
            server.idle_timeout = Duration::from_millis(600);
        },
    )
    .await;
    let mut preface = TcpStream::connect(&stand.address).await.unwrap();
    preface.write_all(&PREFACE[..10]).await.unwrap();
    assert!(closed(&mut preface).await, "half a preface");
    let mut silent = hello(&stand.address).await;
    assert!(closed(&mut silent).await, "no request");
    let mut half = hello(&stand.address).await;
    half.write_all(&frame(HEADERS, 0, 1, &[0x82])).await.unwrap();
    assert!(closed(&mut half).await, "half a request");
    let mut pinging = hello(&stand.address).await;
    let pings = async {
        while pinging.write_all(&frame(PING, 0, 0, &[0; 8])).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    patiently(pings).await;
    // One that has had an answer is idle, and ends in its own time.
    let mut client = connect(&stand.address).await;
    assert_eq!(ask(&mut client, get("/")).await.status(), 200);
    patiently(async {
        while !client.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_has_so_many_requests_at_a_time_and_no_more() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::with(address, |_| {}, |server| server.streams = 3).await;
    let stream = TcpStream::connect(&stand.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    // The announcement comes with the first answer.
    let mut open = Vec::new();
    let first = patiently(client.ready()).await.unwrap();
    client = first;
    let request = || Request::get("http://gate.example/").body(()).unwrap();
    open.push(client.send_request(request(), true).unwrap());
    let held = app.request().await;
    assert_eq!(client.current_max_send_streams(), 3);
    drop((open, held));
}

#[tokio::test]
async fn the_end_is_announced_and_what_is_under_way_is_finished() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let mut client = hello(&stand.address).await;
    // GET http://x/, and the end of it.
    let request = frame(HEADERS, 4 | 1, 1, &[0x82, 0x86, 0x84, 0x41, 1, b'x']);
    client.write_all(&request).await.unwrap();
    let (mut upstream, _) = app.request().await;
    stand.running.stop.cancel();
    until_frame(&mut client, GOAWAY).await;
    upstream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    // The second word of HPACK's table that is a status: 204.
    assert_eq!(until_frame(&mut client, HEADERS).await.first(), Some(&0x89));
    assert!(closed(&mut client).await);
    assert!(patiently(stand.ended).await.unwrap(), "it did not finish in time");
}

#[tokio::test]
async fn an_upgrade_to_http2_is_not_taken() {
    let (app, _) = telling().await;
    let stand = Stand::before(app).await;
    let answer = crate::world::raw(
        &stand.address,
        b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(!answer.contains("h2c") && !answer.contains("http2-settings"), "{answer}");
    // Nor is a preface in the middle of a connection.
    let mut stream = stand.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    crate::proxy::until(&mut stream, "host: x\r\n").await;
    stream.write_all(PREFACE).await.unwrap();
    let mut rest = Vec::new();
    let _ = patiently(stream.read_to_end(&mut rest)).await;
    assert!(!rest.contains(&GOAWAY) || rest.starts_with(b"\r\nHTTP/1.1 4"), "{rest:?}");
}
