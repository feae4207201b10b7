//! A client that closes its side of the connection: it sends no more, or it has gone.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::proxy::{ScriptedApp, TestProxy, echo_app, read_until, wait_closed, with_timeout};

/// Sends `head` and the end of the sending side in one segment.
async fn send_and_close(address: &str, head: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(address).await.unwrap();
    let socket = socket2::SockRef::from(&client);
    socket.set_tcp_cork(true).unwrap();
    client.write_all(head).await.unwrap();
    client.shutdown().await.unwrap();
    client
}

async fn rest(client: &mut TcpStream) -> String {
    let mut rest = String::new();
    let _ = with_timeout(client.read_to_string(&mut rest)).await;
    rest
}

#[tokio::test]
async fn a_request_and_the_end_at_once_are_answered() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    for head in [
        "GET /oauth2/healthz HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /oauth2/healthz HTTP/1.0\r\n\r\n",
        "GET /oauth2/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        "GET /app HTTP/1.1\r\nhost: x\r\n\r\n",
        "GET /one HTTP/1.1\r\nhost: x\r\n\r\nGET /two HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        for number in 0..20 {
            let mut client = if number % 2 == 0 {
                send_and_close(&proxy.address, head.as_bytes()).await
            } else {
                // In two segments, which may arrive apart.
                let mut client = proxy.open(head.as_bytes()).await;
                client.shutdown().await.unwrap();
                client
            };
            let answer = rest(&mut client).await;
            let answers = answer.matches(" 200 OK\r\n").count();
            let requests = head.matches("GET").count();
            assert_eq!(answers, requests, "{number}: {head}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_half_closed_client_gets_the_response_of_the_app() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    for head in [
        &b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n"[..],
        b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi",
    ] {
        let mut client = send_and_close(&proxy.address, head).await;
        let (mut upstream, _) = app.request().await;
        upstream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nslow")
            .await
            .unwrap();
        let answer = rest(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\nslow"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_closes_after_its_request_has_gone() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    for abort in [false, true] {
        let client = proxy.open(b"GET /long HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let (mut upstream, _) = app.request().await;
        if abort {
            socket2::SockRef::from(&client).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        }
        drop(client);
        assert!(wait_closed(&mut upstream).await, "abort: {abort}");
        // And one that is in the middle of a stream.
        let mut client = proxy.open(b"GET /events HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let (mut upstream, _) = app.request().await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\n\r\nevent").await.unwrap();
        read_until(&mut client, "event").await;
        drop(client);
        assert!(wait_closed(&mut upstream).await, "abort: {abort}");
    }
}

#[tokio::test]
async fn an_upload_that_ends_early_does_not_look_complete() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n";
    let _client = send_and_close(&proxy.address, head).await;
    let (mut upstream, _) = app.request().await;
    let mut body = Vec::new();
    let _ = with_timeout(upstream.read_to_end(&mut body)).await;
    assert!(!body.ends_with(b"0\r\n\r\n"), "{body:?}");
}

#[tokio::test]
async fn a_half_closed_tls_client_is_answered() {
    let (app, _) = echo_app().await;
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert_file, key_file) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert_file, key.cert.pem()).unwrap();
    std::fs::write(&key_file, key.signing_key.serialize_pem()).unwrap();
    let files = huggate::server::CertificateFiles::new(cert_file, key_file);
    let proxy = TestProxy::start_with(app, |_| {}, |server| server.tls = vec![files]).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    for path in ["/oauth2/healthz", "/app"] {
        for _ in 0..20 {
            let stream = TcpStream::connect(&proxy.address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let mut client = with_timeout(connector.connect(name, stream)).await.unwrap();
            let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            client.write_all(head.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = String::new();
            let _ = with_timeout(client.read_to_string(&mut answer)).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        }
    }
}
