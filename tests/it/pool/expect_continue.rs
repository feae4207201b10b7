//! `Expect: 100-continue`, from client to app and back.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Http2App, stand, whole};
use crate::proxy::{ByHand, closed, head, patiently, until};

const UPLOAD: &[u8] = b"PUT /up HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";

#[tokio::test]
async fn the_client_is_told_to_go_on_when_the_app_says_so() {
    let (app, address) = ByHand::start().await;
    let stand = stand(&[format!("http://{address}")], |_| {}).await;
    let mut client = stand.open(UPLOAD).await;
    let (mut upstream, request) = app.request().await;
    assert!(request.contains("expect: 100-continue\r\n"), "{request}");
    // Nobody told it to go on, so it does not.
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(300), client.read(&mut byte)).await;
    assert!(early.is_err(), "the client was told something before the app said anything");
    upstream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 100"));
    client.write_all(b"hello").await.unwrap();
    until(&mut upstream, "hello").await;
    // An early hint in between is dropped, and the answer passes.
    upstream
        .write_all(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\nok")
        .await
        .unwrap();
    let answer = until(&mut client, "\r\n\r\nok").await;
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test]
async fn an_app_that_refuses_gets_no_body_and_no_further_request_on_that_connection() {
    let (app, address) = ByHand::start().await;
    let stand = stand(&[format!("http://{address}")], |_| {}).await;
    let mut client = stand.open(UPLOAD).await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    let answer = until(&mut client, "\r\n\r\nno").await;
    assert!(answer.starts_with("HTTP/1.1 403"), "the client was told to go on: {answer}");
    assert!(answer.contains("connection: close\r\n"), "it cannot ask again on this connection: {answer}");
    assert!(closed(&mut client).await);
    assert!(closed(&mut upstream).await, "a connection that owes a body was kept");
}

#[tokio::test]
async fn an_app_that_knows_nothing_of_it_gets_the_body_after_a_while() {
    let (app, address) = ByHand::start().await;
    let stand = stand(&[format!("http://{address}")], |_| {}).await;
    let mut client = stand.open(UPLOAD).await;
    let (mut upstream, _) = app.request().await;
    assert!(head(&mut client).await.starts_with("HTTP/1.1 100"));
    client.write_all(b"hello").await.unwrap();
    until(&mut upstream, "hello").await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    let answer = until(&mut client, "\r\n\r\nok").await;
    assert!(!answer.contains("connection: close"), "{answer}");
    // Both were done with it, so it is used again.
    client.write_all(b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(head(&mut upstream).await.starts_with("GET /next"));
}

#[tokio::test]
async fn over_http2_the_body_is_asked_for_at_once() {
    let app = Http2App::start(
        |request| async move {
            let expect = request.headers().contains_key("expect");
            let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
            whole(format!("{expect} {}", body.len()))
        },
        |_| {},
    )
    .await;
    let stand = stand(&[app.url()], |_| {}).await;
    let mut client = stand.open(UPLOAD).await;
    assert!(patiently(head(&mut client)).await.starts_with("HTTP/1.1 100"));
    client.write_all(b"hello").await.unwrap();
    until(&mut client, "false 5").await;
}
