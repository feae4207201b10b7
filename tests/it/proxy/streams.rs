//! Bodies are streamed in both directions, with backpressure.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ScriptedApp, TestProxy, read_head, read_until, wait_closed, with_timeout};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_sent() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = proxy.open(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    upstream
        .write_all(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
        )
        .await
        .unwrap();
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 OK") && head.contains("text/event-stream"), "{head}");
    for number in 0..5 {
        // The next event is sent only after the client has read this one.
        let event = format!("data: {number}\n\n");
        upstream.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await.unwrap();
        let got = read_until(&mut client, "\n\n\r\n").await;
        assert!(got.contains(&event), "{got}");
    }
}

#[tokio::test]
async fn backpressure_from_a_slow_app_reaches_the_client() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let size = 64 * MIB;
    let mut client = proxy
        .open(format!("POST /up HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n").as_bytes())
        .await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let upload = tokio::spawn(async move {
        let piece = vec![b'x'; MIB];
        for _ in 0..64 {
            client.write_all(&piece).await.unwrap();
            counter.fetch_add(MIB, Ordering::SeqCst);
        }
        client
    });
    let (mut upstream, request) = app.request().await;
    assert!(request.contains(&format!("content-length: {size}\r\n")), "{request}");
    // The app reads nothing, so only socket buffers and one buffer of ours fill up.
    let held = settled(&sent).await;
    assert!(held < 24 * MIB, "{} MiB were taken from the client though the app reads nothing", held / MIB);
    let mut got = 0;
    let mut buffer = vec![0; MIB];
    while got < size {
        got += with_timeout(upstream.read(&mut buffer)).await.unwrap();
    }
    upstream.write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    let mut client = upload.await.unwrap();
    assert!(read_until(&mut client, "\r\n\r\nok").await.starts_with("HTTP/1.1 201"));
}

#[tokio::test]
async fn backpressure_from_a_slow_client_reaches_the_app() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let size = 64 * MIB;
    let mut client = proxy.open(b"GET /down HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    tokio::spawn(async move {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n");
        upstream.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'x'; MIB];
        for _ in 0..64 {
            upstream.write_all(&piece).await.unwrap();
            counter.fetch_add(MIB, Ordering::SeqCst);
        }
        upstream
    });
    read_head(&mut client).await;
    let held = settled(&sent).await;
    assert!(held < 24 * MIB, "{} MiB were taken from the app though the client reads nothing", held / MIB);
    let mut got = 0;
    let mut buffer = vec![0; MIB];
    while got < size {
        let read = with_timeout(client.read(&mut buffer)).await.unwrap();
        assert_ne!(read, 0, "the download ended after {got} bytes");
        got += read;
    }
}

#[tokio::test]
async fn a_client_that_disconnects_closes_the_connection_to_the_app() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    // Before the response,
    let client = proxy.open(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    drop(client);
    assert!(wait_closed(&mut upstream).await);
    // and during it.
    let mut client = proxy.open(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart").await.unwrap();
    read_until(&mut client, "part").await;
    drop(client);
    assert!(wait_closed(&mut upstream).await);
}

#[tokio::test]
async fn a_response_that_the_app_breaks_off_does_not_look_complete() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    for (head_lines, part) in
        [("content-length: 100", "part"), ("transfer-encoding: chunked", "4\r\npart\r\n")]
    {
        let mut client = proxy.open(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let (mut upstream, _) = app.request().await;
        upstream
            .write_all(format!("HTTP/1.1 200 OK\r\n{head_lines}\r\n\r\n{part}").as_bytes())
            .await
            .unwrap();
        drop(upstream);
        let mut got = String::new();
        let _ = with_timeout(client.read_to_string(&mut got)).await;
        assert!(got.contains("part") && !got.ends_with("0\r\n\r\n"), "{got}");
    }
}

#[tokio::test]
async fn bodyless_responses_stay_bodyless_and_trailers_are_forwarded() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    for (method, answer, expected) in [
        ("HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "content-length: 5"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204"),
        ("GET", "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n", "etag: \"x\""),
    ] {
        let request = format!("{method} / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let mut client = proxy.open(request.as_bytes()).await;
        let (mut upstream, _) = app.request().await;
        upstream.write_all(answer.as_bytes()).await.unwrap();
        let mut got = String::new();
        with_timeout(client.read_to_string(&mut got)).await.unwrap();
        assert!(got.contains(expected) && got.ends_with("\r\n\r\n"), "{got}");
        drop(upstream);
    }
    let mut client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\nte: gzip\r\nte: trailers\r\n\r\n").await;
    let (mut upstream, request) = app.request().await;
    assert!(request.contains("te: trailers\r\n"), "{request}");
    upstream
        .write_all(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nx-sum: 42\r\n\r\n",
        )
        .await
        .unwrap();
    let got = read_until(&mut client, "0\r\nx-sum: 42\r\n\r\n").await;
    assert!(got.contains("2\r\nok\r\n"), "{got}");
}

/// Waits until the count no longer grows.
async fn settled(count: &AtomicUsize) -> usize {
    let mut before = usize::MAX;
    loop {
        let now = count.load(Ordering::SeqCst);
        if now == before && now > 0 {
            return now;
        }
        before = now;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
