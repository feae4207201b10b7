//! Old forms of header fields and framing that apps still send.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{canned_app, get};
use crate::http2;
use crate::pool::proxy_for;
use crate::proxy::{ScriptedApp, TestProxy, read_head, with_timeout};
use crate::world::raw;

#[tokio::test]
async fn whitespace_before_the_colon_is_removed_from_a_response() {
    let response = "HTTP/1.1 200 OK\r\nX-Old : yes\r\nX-Tab\t: too\r\nContent-Length : 2\r\n\r\nok";
    let (app, _) = canned_app(response).await;
    let proxy = proxy_for(&[format!("http://{app}")], |_| {}).await;
    for _ in 0..2 {
        let answer = raw(&proxy.address, &get("/")).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok"), "{answer}");
        assert!(answer.contains("x-old: yes\r\n") && answer.contains("x-tab: too\r\n"), "{answer}");
        let mut client = http2::connect(&proxy.address).await;
        let response = http2::ask(&mut client, http2::get("/")).await;
        assert_eq!(response.headers()["x-old"], "yes");
        assert_eq!(http2::text(response).await, "ok");
    }
}

#[tokio::test]
async fn whitespace_before_the_colon_does_not_hide_the_framing() {
    let chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let (app, _) = canned_app(chunked).await;
    let proxy = proxy_for(&[format!("http://{app}")], |_| {}).await;
    let mut client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let head = read_head(&mut client).await;
    assert!(head.contains("transfer-encoding: chunked\r\n") && !head.contains("content-length"), "{head}");
    assert!(raw(&proxy.address, &get("/")).await.contains("\r\nok\r\n"));
    // `Connection` names its fields in this spelling too.
    let (app, _) =
        canned_app("HTTP/1.1 204 No Content\r\nConnection : X-Private\r\nX-Private : 1\r\n\r\n").await;
    let proxy = proxy_for(&[format!("http://{app}")], |_| {}).await;
    let answer = raw(&proxy.address, &get("/")).await;
    assert!(answer.starts_with("HTTP/1.1 204") && !answer.contains("x-private"), "{answer}");
}

#[tokio::test]
async fn a_folded_line_is_joined_by_spaces() {
    let response = "HTTP/1.1 200 OK\r\nX-Folded: one\r\n two\r\n\tthree\r\nX-Late:\r\n four\r\n\
                    Transfer-Encoding:\r\n chunked\r\nX-After: 5\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let (app, _) = canned_app(response).await;
    let proxy = proxy_for(&[format!("http://{app}")], |_| {}).await;
    for _ in 0..2 {
        let mut client = http2::connect(&proxy.address).await;
        let response = http2::ask(&mut client, http2::get("/")).await;
        assert_eq!(response.headers()["x-folded"], "one two three");
        assert_eq!(response.headers()["x-late"], "four");
        assert_eq!(response.headers()["x-after"], "5");
        assert_eq!(http2::text(response).await, "ok");
    }
    // A fold before the first field belongs to none.
    let (app, _) = canned_app("HTTP/1.1 200 OK\r\n X-First: 1\r\nContent-Length: 0\r\n\r\n").await;
    let proxy = proxy_for(&[format!("http://{app}")], |_| {}).await;
    let answer = raw(&proxy.address, &get("/")).await;
    assert!(answer.starts_with("HTTP/1.1 502") && !answer.contains("x-first"), "{answer}");
}

#[tokio::test]
async fn transfer_encoding_identity_is_no_coding() {
    // The app keeps its connection open, so the length alone ends the body; what follows
    // it is no second response.
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok";
    for rest in ["", "HTTP/1.1 200 OK\r\nX-Smuggled: yes\r\nContent-Length: 0\r\n\r\n"] {
        let (app, _) = canned_app(format!("{head}{rest}")).await;
        let proxy = proxy_for(&[format!("http://{app}")], |_| {}).await;
        for _ in 0..3 {
            let answer = raw(&proxy.address, &get("/")).await;
            assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nok"), "{answer}");
            assert!(answer.contains("content-length: 2\r\n") && !answer.contains("identity"), "{answer}");
            let mut client = http2::connect(&proxy.address).await;
            let response = http2::ask(&mut client, http2::get("/")).await;
            assert_eq!(http2::text(response).await, "ok");
        }
    }
}

#[tokio::test]
async fn transfer_encoding_identity_without_a_length_ends_with_the_connection() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = proxy.open(&get("/")).await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nwhole").await.unwrap();
    drop(upstream);
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200"));
    let mut rest = String::new();
    with_timeout(client.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.contains("whole"), "{rest}");
    // A `HEAD` has no body, whatever its headers say.
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 9\r\n\r\n";
    let (app, _) = canned_app(head).await;
    let proxy = proxy_for(&[format!("http://{app}")], |_| {}).await;
    let answer = raw(&proxy.address, b"HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("content-length: 9\r\n"), "{answer}");
}

#[tokio::test]
async fn an_identity_coding_with_an_unclear_length_is_502() {
    for lines in ["Content-Length: 2\r\nContent-Length: 3", "Content-Length: 2\r\nTransfer-Encoding: gzip"] {
        let (app, _) =
            canned_app(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n{lines}\r\n\r\nokk")).await;
        let proxy = proxy_for(&[format!("http://{app}")], |_| {}).await;
        let answer = raw(&proxy.address, &get("/")).await;
        assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("upstream_invalid"), "{answer}");
    }
}
