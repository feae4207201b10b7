//! Connections to the app without a request: huggate closes them after a time, and
//! notices when the app closes them.

use std::time::Duration;

use http::Response;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use crate::pool::proxy_for;
use crate::proxy::{ScriptedApp, TestProxy, read_head, read_until, wait_closed, with_timeout};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const SHORT: Duration = Duration::from_millis(200);

/// What an HTTP/2 app reports, with the number of the connection.
#[derive(Debug, PartialEq)]
enum Event {
    Asked(usize),
    Closed(usize),
}

/// An HTTP/2 app with one stream per connection. `/hang` is answered, and the connections
/// are closed, when the second value becomes true.
async fn http2_app(is_closing: bool) -> (String, UnboundedReceiver<Event>, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    let (events, reported) = unbounded_channel();
    let (told, tell) = watch::channel(false);
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (events, tell) = (events.clone(), tell.clone());
            tokio::spawn(async move {
                let mut builder = h2::server::Builder::new();
                let mut connection =
                    builder.max_concurrent_streams(1).handshake::<_, bytes::Bytes>(stream).await.unwrap();
                let mut closing = tell.clone();
                loop {
                    let accepted = tokio::select! {
                        accepted = connection.accept() => accepted,
                        () = until_told(&mut closing), if is_closing => {
                            connection.graceful_shutdown();
                            while connection.accept().await.is_some() {}
                            None
                        }
                    };
                    let Some(Ok((request, mut respond))) = accepted else { break };
                    // The test may have ended.
                    let _ = events.send(Event::Asked(number));
                    let mut tell = tell.clone();
                    tokio::spawn(async move {
                        if request.uri().path() == "/hang" {
                            until_told(&mut tell).await;
                        }
                        respond.send_response(Response::new(()), true).unwrap();
                    });
                }
                let _ = events.send(Event::Closed(number));
            });
        }
    });
    (url, reported, told)
}

async fn until_told(told: &mut watch::Receiver<bool>) {
    // The test may have ended.
    let _ = told.wait_for(|told| *told).await;
}

async fn next(events: &mut UnboundedReceiver<Event>) -> Event {
    with_timeout(events.recv()).await.unwrap()
}

/// Opens a connection to the proxy and gets a response for `path` on it.
async fn answered(proxy: &TestProxy, path: &str) -> tokio::net::TcpStream {
    let mut client = proxy.open(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    client
}

#[tokio::test]
async fn an_idle_connection_to_the_app_is_closed_after_a_time() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| upstream.idle_timeout = SHORT).await;
    let mut busy = proxy.open(GET).await;
    let (mut in_use, _) = app.request().await;
    for _ in 0..2 {
        let mut client = proxy.open(GET).await;
        let (mut upstream, _) = app.request().await;
        upstream.write_all(OK).await.unwrap();
        read_until(&mut client, "\r\n\r\nok").await;
        // The client stays, and asks for nothing.
        assert!(wait_closed(&mut upstream).await);
    }
    // A connection in use is not idle, and is so only after its response.
    in_use.write_all(OK).await.unwrap();
    read_until(&mut busy, "\r\n\r\nok").await;
    busy.write_all(GET).await.unwrap();
    assert!(read_head(&mut in_use).await.starts_with("GET / "));
    in_use.write_all(OK).await.unwrap();
    read_until(&mut busy, "\r\n\r\nok").await;
    assert!(wait_closed(&mut in_use).await);
}

#[tokio::test]
async fn an_idle_http2_connection_to_the_app_is_closed_after_a_time() {
    let (url, mut events, told) = http2_app(false).await;
    let proxy = proxy_for(&[url], |upstream| upstream.idle_timeout = SHORT).await;
    let mut busy = proxy.open(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(next(&mut events).await, Event::Asked(0));
    for number in 1..3 {
        let _client = answered(&proxy, "/").await;
        assert_eq!(next(&mut events).await, Event::Asked(number));
        assert_eq!(next(&mut events).await, Event::Closed(number));
    }
    // A connection with a stream is not idle.
    told.send(true).unwrap();
    assert!(read_head(&mut busy).await.starts_with("HTTP/1.1 200"));
    assert_eq!(next(&mut events).await, Event::Closed(0));
}

#[tokio::test]
async fn an_idle_connection_that_the_app_closes_is_closed_and_makes_room() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| upstream.connections = 1).await;
    for _ in 0..3 {
        // Not idempotent, so it would not be sent again on another connection.
        let post = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
        let mut client = proxy.open(post).await;
        let (mut upstream, _) = app.request().await;
        upstream.write_all(OK).await.unwrap();
        read_until(&mut client, "\r\n\r\nok").await;
        upstream.shutdown().await.unwrap();
        assert!(wait_closed(&mut upstream).await);
    }
}

#[tokio::test]
async fn an_idle_http2_connection_that_the_app_closes_is_closed_and_makes_room() {
    let (url, mut events, told) = http2_app(true).await;
    let proxy = proxy_for(&[url], |upstream| upstream.connections = 1).await;
    let _client = answered(&proxy, "/").await;
    assert_eq!(next(&mut events).await, Event::Asked(0));
    told.send(true).unwrap();
    assert_eq!(next(&mut events).await, Event::Closed(0));
    told.send(false).unwrap();
    let _client = answered(&proxy, "/").await;
    assert_eq!(next(&mut events).await, Event::Asked(1));
}
