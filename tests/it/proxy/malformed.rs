//! Request smuggling: malformed requests get 400 or reach the app as exactly one
//! well-formed request.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::{ScriptedApp, TestProxy, echo_app, read_head, read_until, with_timeout};
use crate::world::raw;

#[tokio::test]
async fn ambiguous_requests_are_rejected() {
    let (app, connections) = echo_app().await;
    let proxy = TestProxy::start(app).await;
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
        let answer = raw(&proxy.address, with_close(request).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{what}: {answer}");
        assert_eq!(connections.load(Ordering::SeqCst), 0, "{what} reached the app");
    }
}

/// Adds `Connection: close`, so that the response can be read to the end.
fn with_close(request: &str) -> String {
    request.replacen("HTTP/1.1\r\n", "HTTP/1.1\r\nconnection: close\r\n", 1)
}

#[tokio::test]
async fn content_length_beside_chunked_is_one_request_with_one_framing() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let request = format!(
        "POST /outer HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\ntransfer-encoding: chunked\r\n\r\n{smuggled}",
        smuggled.len()
    );
    let mut client = proxy.open(request.as_bytes()).await;
    let refused = tokio::time::timeout(Duration::from_millis(500), read_head(&mut client)).await;
    if let Ok(refused) = refused {
        assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
        return;
    }
    let (mut upstream, request) = app.request().await;
    assert!(request.starts_with("POST /outer"), "{request}");
    let framings = request.matches("content-length").count() + request.matches("transfer-encoding").count();
    assert_eq!(framings, 1, "{request}");
    let rest = read_until(&mut upstream, "0\r\n\r\n").await;
    assert!(!rest.contains("smuggled"), "{rest}");
}

#[tokio::test]
async fn absolute_form_is_forwarded_in_origin_form() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    let answer =
        raw(&proxy.address, b"GET http://x/a?b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("GET /a?b HTTP/1.1\r\n") && answer.contains("host: x\r\n"), "{answer}");
}

#[tokio::test]
async fn the_target_is_forwarded_byte_for_byte() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    for target in
        ["/a%20b?c=%2F%2f&d=//", "/%7Ea/%41", "/a//b", "/a/../b", "/a;b=c/d", "/caf%C3%A9", "/a?b?c"]
    {
        let request = format!("GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(&proxy.address, request.as_bytes()).await;
        assert!(answer.contains(&format!("GET {target} HTTP/1.1\r\n")), "{target}: {answer}");
    }
}

#[tokio::test]
async fn only_websocket_upgrades_are_forwarded() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    for upgrade in ["h2c", "TLS/1.0", "websocket, h2c", "anything"] {
        let request = format!(
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close, upgrade, http2-settings\r\nupgrade: {upgrade}\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n\r\n"
        );
        let answer = raw(&proxy.address, request.as_bytes()).await;
        let told = answer.split_once("\r\n\r\n").unwrap().1.to_lowercase();
        assert!(answer.starts_with("HTTP/1.1 200") && !told.contains("upgrade"), "{upgrade}: {answer}");
    }
}

#[tokio::test]
async fn an_unrequested_switch_of_protocols_is_502() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut upstream, switch).await.unwrap();
    let mut answer = String::new();
    with_timeout(client.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
}

#[tokio::test]
async fn request_trailers_are_dropped() {
    // Some servers merge them into the headers, where they could claim an identity.
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let request =
        b"POST / HTTP/1.1\r\nhost: x\r\ntrailer: x-forwarded-user\r\ntransfer-encoding: chunked\r\n\r\n\
                    2\r\nhi\r\n0\r\nx-forwarded-user: root\r\n\r\n";
    let _client = proxy.open(request).await;
    let (mut upstream, head) = app.request().await;
    assert!(!head.contains("x-forwarded-user"), "{head}");
    assert_eq!(read_until(&mut upstream, "0\r\n\r\n").await, "2\r\nhi\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_response_with_another_transfer_coding_is_502() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    let coded = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut upstream, coded).await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn http_1_0_is_forwarded_as_1_1_with_a_host() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    let answer = raw(&proxy.address, b"GET /old HTTP/1.0\r\n\r\n").await;
    assert!(
        answer.contains("GET /old HTTP/1.1\r\n") && answer.contains(&format!("host: {app}\r\n")),
        "{answer}"
    );
}
