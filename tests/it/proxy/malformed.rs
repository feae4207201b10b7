//! Threats 2, request smuggling: 400, or exactly one well-formed request upstream.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::{ByHand, Stand, head, patiently, telling, until};
use crate::world::raw;

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let (app, connections) = telling().await;
    let stand = Stand::before(app).await;
    for (what, request) in [
        ("two lengths", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"),
        ("a list of lengths", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1, 2\r\n\r\nab"),
        ("a length that is none", "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: +1\r\n\r\na"),
        ("an unknown coding", "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, x\r\n\r\n0\r\n\r\n"),
        ("a space before the colon", "GET / HTTP/1.1\r\nhost : x\r\n\r\n"),
        ("a folded line", "GET / HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c\r\n\r\n"),
        ("a header without a name", "GET / HTTP/1.1\r\nhost: x\r\n: y\r\n\r\n"),
        ("NUL in a value", "GET / HTTP/1.1\r\nhost: x\r\nx-a: b\0c\r\n\r\n"),
        ("two hosts", "GET / HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n"),
        ("the same host twice", "GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n"),
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        ("a host with a path", "GET / HTTP/1.1\r\nhost: x/y\r\n\r\n"),
        ("another host in the target", "GET http://y/ HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("a fragment", "GET /a#b HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("a space in the target", "GET /a b HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("an asterisk", "OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n"),
        ("a tunnel", "CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n"),
        ("no version", "GET /\r\n\r\n"),
        ("garbage", "\u{1}\u{2}\u{3}\r\n\r\n"),
    ] {
        let answer = raw(&stand.address, with_close(request).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{what}: {answer}");
        assert_eq!(connections.load(Ordering::SeqCst), 0, "{what} reached the app");
    }
}

/// The end of the connection, so that an answer can be read to its end. A message
/// that is refused for its framing is the last one anyway.
fn with_close(request: &str) -> String {
    request.replacen("HTTP/1.1\r\n", "HTTP/1.1\r\nconnection: close\r\n", 1)
}

#[tokio::test]
async fn a_length_beside_chunks_is_one_request_with_one_framing() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let request = format!(
        "POST /outer HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n{smuggled}",
        smuggled.len()
    );
    let mut client = stand.open(request.as_bytes()).await;
    let refused = tokio::time::timeout(Duration::from_millis(500), head(&mut client)).await;
    if let Ok(refused) = refused {
        assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
        return;
    }
    let (mut upstream, request) = app.request().await;
    assert!(request.starts_with("POST /outer"), "{request}");
    let framings = request.matches("content-length").count() + request.matches("transfer-encoding").count();
    assert_eq!(framings, 1, "{request}");
    let rest = until(&mut upstream, "0\r\n\r\n").await;
    assert!(!rest.contains("smuggled"), "{rest}");
}

#[tokio::test]
async fn the_absolute_form_of_our_own_host_goes_on_in_origin_form() {
    let (app, _) = telling().await;
    let stand = Stand::before(app).await;
    let answer =
        raw(&stand.address, b"GET http://x/a?b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("GET /a?b HTTP/1.1\r\n") && answer.contains("host: x\r\n"), "{answer}");
}

#[tokio::test]
async fn what_is_sent_on_is_byte_for_byte_what_was_judged() {
    let (app, _) = telling().await;
    let stand = Stand::before(app).await;
    for target in
        ["/a%20b?c=%2F%2f&d=//", "/%7Ea/%41", "/a//b", "/a/../b", "/a;b=c/d", "/caf%C3%A9", "/a?b?c"]
    {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(&stand.address, request.as_bytes()).await;
        assert!(answer.contains(&format!("GET {target} HTTP/1.1\r\n")), "{target}: {answer}");
    }
}

#[tokio::test]
async fn an_upgrade_to_anything_but_a_websocket_is_not_asked_for() {
    let (app, _) = telling().await;
    let stand = Stand::before(app).await;
    for upgrade in ["h2c", "TLS/1.0", "websocket, h2c", "anything"] {
        let request = format!(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade, http2-settings\r\nupgrade: {upgrade}\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n"
        );
        let answer = raw(&stand.address, request.as_bytes()).await;
        let told = answer.split_once("\r\n\r\n").unwrap().1.to_lowercase();
        assert!(answer.starts_with("HTTP/1.1 200") && !told.contains("upgrade"), "{upgrade}: {answer}");
    }
}

#[tokio::test]
async fn an_app_that_switches_protocols_unasked_is_502() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let mut client = stand.open(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut upstream, switch).await.unwrap();
    let mut answer = String::new();
    patiently(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[tokio::test]
async fn a_requests_trailers_end_at_the_proxy() {
    // Some servers merge them into the headers, after ours were taken out.
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let request =
        b"POST / HTTP/1.1\r\nhost: x\r\ntrailer: x-forwarded-user\r\ntransfer-encoding: chunked\r\n\r\n\
                    2\r\nhi\r\n0\r\nx-forwarded-user: root\r\n\r\n";
    let _client = stand.open(request).await;
    let (mut upstream, head) = app.request().await;
    assert!(!head.contains("x-forwarded-user"), "{head}");
    assert_eq!(until(&mut upstream, "0\r\n\r\n").await, "2\r\nhi\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_response_that_is_coded_otherwise_than_in_chunks_is_502() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let mut client = stand.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let coded = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut upstream, coded).await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn http_1_0_is_served_and_sent_on_as_1_1_with_a_host() {
    let (app, _) = telling().await;
    let stand = Stand::before(app).await;
    let answer = raw(&stand.address, b"GET /old HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.contains("GET /old HTTP/1.1\r\n") && answer.contains(&format!("host: {app}\r\n")),
        "{answer}"
    );
}
