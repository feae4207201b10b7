//! Apps that speak HTTP/2.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::Barrier;

use super::{Http2App, describe, get, proxy_for, reply};
use crate::proxy::{echo_app, read_head, read_until, with_timeout};
use crate::world::raw;

#[tokio::test]
async fn host_and_path_reach_the_app_unchanged() {
    let app = Http2App::start(|request| async move { reply(describe(&request)) }, |_| {}).await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    for path in ["/a%20b?c=%2F%2f&d=//", "/a//b", "/a/../b", "/caf%C3%A9", "/"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: App.Example:8080\r\nconnection: close, x-private\r\nx-private: 1\r\n\
             te: gzip, trailers\r\nx-kept: 1\r\nx-kept: 2\r\n\r\n"
        );
        let answer = raw(&proxy.address, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains(&format!("HTTP/2.0 GET http://App.Example:8080{path}\n")), "{answer}");
        assert!(answer.contains("te: trailers\n") && answer.contains("x-kept: 1\nx-kept: 2\n"), "{answer}");
        let told = answer.split_once("\r\n\r\n").unwrap().1;
        assert!(!told.contains("x-private") && !told.contains("connection"), "{answer}");
        assert!(!told.contains("\nhost:"), "{answer}");
    }
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn requests_share_a_connection_up_to_the_apps_limit() {
    for (limit, requests, connections) in [(100, 40, 1), (3, 12, 4)] {
        // The app answers only when all requests have arrived.
        let all = Arc::new(Barrier::new(requests));
        let app = Http2App::start(
            move |_| {
                let all = Arc::clone(&all);
                async move {
                    all.wait().await;
                    reply("together")
                }
            },
            move |builder| {
                builder.max_concurrent_streams(limit);
            },
        )
        .await;
        let proxy = proxy_for(&[app.url()], |_| {}).await;
        let request = get("/");
        let answers = join_all((0..requests).map(|_| raw(&proxy.address, &request))).await;
        assert!(answers.iter().all(|answer| answer.ends_with("together")), "{answers:?}");
        assert_eq!(app.connections(), connections);
    }
}

#[tokio::test]
async fn no_request_is_sent_after_goaway() {
    // RFC 9113, section 6.8: the app answers the first request and sends GOAWAY.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let mut body = respond.send_response(Response::new(()), false).unwrap();
                    body.send_data(Bytes::from_static(b"once"), true).unwrap();
                    connection.graceful_shutdown();
                }
            });
        }
    });
    let proxy = proxy_for(&[url], |_| {}).await;
    for _ in 0..10 {
        let post = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
        let answer = raw(&proxy.address, post).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("once"), "{answer}");
    }
}

#[tokio::test]
async fn only_a_request_that_was_not_processed_is_retried() {
    // RFC 9113, section 8.7: after REFUSED_STREAM any method may be retried; after
    // another error it may not.
    for (reason, expected, times) in
        [(h2::Reason::REFUSED_STREAM, "HTTP/1.1 200", 2), (h2::Reason::INTERNAL_ERROR, "HTTP/1.1 502", 1)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("h2c://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counter = Arc::clone(&counter);
                tokio::spawn(async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, mut respond))) = connection.accept().await {
                        if request.uri().path() == "/warm" || counter.fetch_add(1, Ordering::SeqCst) > 0 {
                            respond.send_response(Response::new(()), true).unwrap();
                        } else {
                            respond.send_reset(reason);
                        }
                    }
                });
            }
        });
        let proxy = proxy_for(&[url], |_| {}).await;
        assert!(raw(&proxy.address, &get("/warm")).await.starts_with("HTTP/1.1 200"));
        let post = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        let answer = raw(&proxy.address, post).await;
        assert!(answer.starts_with(expected), "{reason:?}: {answer}");
        assert_eq!(asked.load(Ordering::SeqCst), times, "{reason:?}");
    }
}

#[tokio::test]
async fn response_trailers_are_forwarded_and_request_trailers_are_dropped() {
    let app = Http2App::start(
        |request| async move {
            let collected = request.into_body().collect().await.unwrap();
            let told = format!("trailers: {:?}", collected.trailers());
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let frames = [Ok(Frame::data(Bytes::from(told))), Ok(Frame::trailers(trailers))];
            let mut response = Response::new(StreamBody::new(stream::iter(frames)).boxed_unsync());
            response.headers_mut().insert("trailer", HeaderValue::from_static("grpc-status"));
            response
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    let request = b"POST / HTTP/1.1\r\nhost: x\r\nte: trailers\r\ntrailer: x-forwarded-user\r\n\
                    transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-forwarded-user: root\r\n\r\n";
    let mut client = proxy.open(request).await;
    let answer = read_until(&mut client, "grpc-status: 0\r\n\r\n").await;
    assert!(answer.contains("trailer: grpc-status\r\n") && answer.contains("trailers: None"), "{answer}");
}

#[tokio::test]
async fn a_websocket_to_an_h2c_upstream_is_502() {
    let app = Http2App::start(|_| async { reply("never") }, |_| {}).await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    let handshake = b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                      sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut client = proxy.open(handshake).await;
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn an_app_that_does_not_speak_http2_is_502() {
    let (app, _) = echo_app().await;
    let proxy = proxy_for(&[format!("h2c://{app}")], |_| {}).await;
    let answer = with_timeout(raw(&proxy.address, &get("/"))).await;
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[tokio::test]
async fn a_body_past_the_limit_is_413_and_the_connection_stays_open() {
    let app = Http2App::start(
        |request| async move {
            let _ = request.into_body().collect().await;
            reply("whole")
        },
        |_| {},
    )
    .await;
    // Two endpoints, because only then a failure ejects one.
    let proxy = proxy_for(&[app.url(), app.url()], |upstream| upstream.body_bytes = Some(1000)).await;
    for _ in 0..3 {
        let request = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
        let mut client = proxy.open(request).await;
        for _ in 0..3 {
            // The proxy may already have answered and closed the connection.
            let _ = client.write_all(format!("190\r\n{}\r\n", "x".repeat(0x190)).as_bytes()).await;
        }
        let answer = read_head(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }
    assert!(raw(&proxy.address, &get("/")).await.ends_with("whole"));
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn a_body_and_its_content_length_are_forwarded() {
    let app = Http2App::start(
        |request| async move {
            let length = request.headers().get("content-length").cloned();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            reply(format!("{length:?} {}", body.len()))
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    let mut client =
        proxy.open(b"PUT / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 300000\r\n\r\n").await;
    client.write_all(&vec![b'x'; 300_000]).await.unwrap();
    read_until(&mut client, "Some(\"300000\") 300000").await;
    let answer =
        raw(&proxy.address, b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            .await;
    assert!(answer.ends_with("Some(\"0\") 0"), "{answer}");
    let answer = raw(&proxy.address, &get("/")).await;
    assert!(answer.ends_with("None 0"), "{answer}");
}
