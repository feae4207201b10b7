//! `Expect: 100-continue` between client and app.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Http2App, proxy_for, reply};
use crate::proxy::{ScriptedApp, read_head, read_until, wait_closed, with_timeout};

const UPLOAD: &[u8] = b"PUT /up HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";

#[tokio::test]
async fn the_client_gets_100_when_the_app_sends_it() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |_| {}).await;
    let mut client = proxy.open(UPLOAD).await;
    let (mut upstream, request) = app.request().await;
    assert!(request.contains("expect: 100-continue\r\n"), "{request}");
    // No 100 before the app has sent one.
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(300), client.read(&mut byte)).await;
    assert!(early.is_err(), "the client got a response before the app sent one");
    upstream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 100"));
    client.write_all(b"hello").await.unwrap();
    read_until(&mut upstream, "hello").await;
    // A 103 in between is dropped, and the final response is forwarded.
    upstream
        .write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok")
        .await
        .unwrap();
    let answer = read_until(&mut client, "\r\n\r\nok").await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test]
async fn after_a_final_response_without_100_both_connections_are_closed() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |_| {}).await;
    let mut client = proxy.open(UPLOAD).await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    let answer = read_until(&mut client, "\r\n\r\nno").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "the client got 100: {answer}");
    assert!(answer.contains("connection: close\r\n"), "the connection cannot be reused: {answer}");
    assert!(wait_closed(&mut client).await);
    assert!(wait_closed(&mut upstream).await, "a connection without the announced body was reused");
}

#[tokio::test]
async fn an_app_that_does_not_implement_it_gets_the_body_after_a_timeout() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |_| {}).await;
    let mut client = proxy.open(UPLOAD).await;
    let (mut upstream, _) = app.request().await;
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 100"));
    client.write_all(b"hello").await.unwrap();
    read_until(&mut upstream, "hello").await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    let answer = read_until(&mut client, "\r\n\r\nok").await;
    assert!(!answer.contains("connection: close"), "{answer}");
    // The exchange is complete, so both connections are reused.
    client.write_all(b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(read_head(&mut upstream).await.starts_with("GET /next"));
}

#[tokio::test]
async fn with_an_http2_app_the_client_gets_100_at_once() {
    let app = Http2App::start(
        |request| async move {
            let expect = request.headers().contains_key("expect");
            let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
            reply(format!("{expect} {}", body.len()))
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    let mut client = proxy.open(UPLOAD).await;
    assert!(with_timeout(read_head(&mut client)).await.starts_with("HTTP/1.1 100"));
    client.write_all(b"hello").await.unwrap();
    read_until(&mut client, "false 5").await;
}
