//! Bodies are streamed over HTTP/2, in both directions and in constant memory.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};

use super::{AppBody, Http2App, proxy_for, reply};
use crate::proxy::{ScriptedApp, read_head, read_until, with_timeout};

const MIB: usize = 1024 * 1024;
const GIB: usize = 1024 * MIB;

fn streaming(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response<AppBody> {
    let frames = futures_util::StreamExt::map(frames, |bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    Response::new(StreamBody::new(frames).boxed_unsync())
}

/// The frames that are sent through a channel.
fn received(frames: mpsc::Receiver<Bytes>) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold(frames, |mut frames| async { frames.recv().await.map(|frame| (frame, frames)) })
}

/// A body of `number` mebibytes; counts the bytes that are taken from it.
fn pieces(number: usize, taken: Arc<AtomicUsize>) -> impl Stream<Item = Bytes> + Send + 'static {
    let piece = Bytes::from(vec![b'x'; MIB]);
    stream::unfold(number, move |left| {
        let next = left.checked_sub(1).map(|left| {
            taken.fetch_add(MIB, Ordering::SeqCst);
            (piece.clone(), left)
        });
        std::future::ready(next)
    })
}

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_sent() {
    let (events, frames) = mpsc::channel(1);
    let frames = Arc::new(std::sync::Mutex::new(Some(frames)));
    let app = Http2App::start(
        move |_| {
            let frames = frames.lock().unwrap().take().unwrap();
            async move { streaming(received(frames)) }
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    let mut client = proxy.open(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_head(&mut client).await;
    for number in 0..5 {
        let event = format!("data: {number}\n\n");
        events.send(Bytes::from(event.clone())).await.unwrap();
        assert!(read_until(&mut client, "\n\n\r\n").await.contains(&event));
    }
}

#[tokio::test]
async fn a_client_that_disconnects_resets_the_stream_and_the_connection_stays() {
    let gone = Arc::new(Notify::new());
    let noticed = Arc::clone(&gone);
    let app = Http2App::start(
        move |request| {
            let noticed = Arc::clone(&noticed);
            async move {
                if request.uri().path() == "/short" {
                    return reply("short");
                }
                let (events, frames) = mpsc::channel(1);
                tokio::spawn(async move {
                    while events.send(Bytes::from_static(b"tick")).await.is_ok() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    noticed.notify_one();
                });
                streaming(received(frames))
            }
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    let mut client = proxy.open(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut client, "tick").await;
    drop(client);
    with_timeout(gone.notified()).await;
    let mut client = proxy.open(b"GET /short HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut client, "short").await;
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn backpressure_from_a_slow_client_reaches_the_app() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let app = Http2App::start(
        move |_| {
            let counter = Arc::clone(&counter);
            async move { streaming(pieces(64, counter)) }
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    let mut client = proxy.open(b"GET /down HTTP/1.0\r\nhost: x\r\n\r\n").await;
    read_head(&mut client).await;
    let held = settled(&sent).await;
    assert!(held < 24 * MIB, "{} MiB were taken from the app though the client reads nothing", held / MIB);
    assert_eq!(drain(&mut client).await, 64 * MIB);
}

#[tokio::test]
async fn backpressure_from_a_slow_app_reaches_the_client() {
    let (go, read) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let (gone, counter) = (Arc::clone(&go), Arc::clone(&read));
    let app = Http2App::start(
        move |request| {
            let (go, counter) = (Arc::clone(&gone), Arc::clone(&counter));
            async move {
                go.notified().await;
                let mut body = request.into_body();
                while let Some(Ok(frame)) = body.frame().await {
                    counter.fetch_add(frame.data_ref().map_or(0, Bytes::len), Ordering::SeqCst);
                }
                reply("taken")
            }
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    let size = 64 * MIB;
    let head = format!("POST /up HTTP/1.1\r\nhost: x\r\ncontent-length: {size}\r\n\r\n");
    let (mut client, sent) = (proxy.open(head.as_bytes()).await, Arc::new(AtomicUsize::new(0)));
    let counter = Arc::clone(&sent);
    let upload = tokio::spawn(async move {
        let piece = vec![b'x'; MIB];
        for _ in 0..64 {
            client.write_all(&piece).await.unwrap();
            counter.fetch_add(MIB, Ordering::SeqCst);
        }
        client
    });
    let held = settled(&sent).await;
    assert!(held < 24 * MIB, "{} MiB were taken from the client though the app reads nothing", held / MIB);
    go.notify_one();
    let mut client = upload.await.unwrap();
    read_until(&mut client, "taken").await;
    assert_eq!(read.load(Ordering::SeqCst), size);
}

#[tokio::test]
async fn two_gibibytes_are_forwarded_in_constant_memory() {
    let taken = Arc::new(AtomicUsize::new(0));
    let app = Http2App::start(
        move |request| {
            let taken = Arc::clone(&taken);
            async move {
                let mut body = request.into_body();
                let mut size = 0;
                while let Some(Ok(frame)) = body.frame().await {
                    size += frame.data_ref().map_or(0, Bytes::len);
                }
                if size == 0 { streaming(pieces(2048, taken)) } else { reply(format!("took {size}")) }
            }
        },
        |builder| {
            builder.initial_stream_window_size(4 << 20).initial_connection_window_size(4 << 20);
        },
    )
    .await;
    let (plain, address) = ScriptedApp::start().await;
    for (url, by_hand) in [(app.url(), None), (format!("http://{address}"), Some(plain))] {
        let proxy = proxy_for(&[url], |_| {}).await;
        let before = resident();
        let mut peak = before;
        let served = by_hand.map(|app| {
            tokio::spawn(async move {
                let (mut upstream, _) = app.request().await;
                let size = read(&mut upstream, 2 * GIB).await;
                let answer = format!("took {size}");
                let told = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
                upstream.write_all(told.as_bytes()).await.unwrap();
                read_head(&mut upstream).await;
                upstream
                    .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 2 * GIB).as_bytes())
                    .await
                    .unwrap();
                let piece = vec![b'x'; MIB];
                for _ in 0..2048 {
                    upstream.write_all(&piece).await.unwrap();
                }
            })
        });
        let head_up = format!("POST /up HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 2 * GIB);
        let mut client = proxy.open(head_up.as_bytes()).await;
        let piece = vec![b'x'; MIB];
        for number in 0..2048 {
            client.write_all(&piece).await.unwrap();
            if number % 64 == 0 {
                peak = peak.max(resident());
            }
        }
        read_until(&mut client, &format!("took {}", 2 * GIB)).await;
        let mut client = proxy.open(b"GET /down HTTP/1.0\r\nhost: x\r\n\r\n").await;
        read_head(&mut client).await;
        let mut size = 0;
        while size < 2 * GIB {
            size += read(&mut client, (64 * MIB).min(2 * GIB - size)).await;
            peak = peak.max(resident());
        }
        if let Some(served) = served {
            served.await.unwrap();
        }
        // Other tests run at the same time; a buffered body would still show.
        assert!(peak < before + 512 * MIB, "{} MiB more were in use", (peak - before) / MIB);
    }
}

/// Reads up to `size` bytes, or to the end.
async fn read(stream: &mut TcpStream, size: usize) -> usize {
    let (mut got, mut buffer) = (0, vec![0; MIB]);
    while got < size {
        let most = buffer.len().min(size - got);
        match with_timeout(stream.read(&mut buffer[..most])).await.unwrap() {
            0 => break,
            read => got += read,
        }
    }
    got
}

async fn drain(stream: &mut TcpStream) -> usize {
    read(stream, usize::MAX).await
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
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
