//! TLS to the app: ALPN, client certificates, session resumption.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use huggate::upstream::{ClientCertificate, UpstreamTls};
use hyper::server::conn::http2::Builder;
use hyper_util::rt::TokioExecutor;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::{describe, get, proxy_for, reply, serve_http2};
use crate::proxy::with_timeout;
use crate::world::raw;

/// A certificate for `name` and its key, in files of `folder`.
fn certificate(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let (cert_file, key_file) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}-key.pem")));
    std::fs::write(&cert_file, cert.pem()).unwrap();
    std::fs::write(&key_file, signing_key.serialize_pem()).unwrap();
    (cert_file, key_file)
}

struct SecureApp {
    port: u16,
    connections: Arc<AtomicUsize>,
    handshakes: Arc<Mutex<Vec<HandshakeKind>>>,
}

/// An app that offers these protocols. Over HTTP/2 it answers with the request as text;
/// over HTTP/1.1 it echoes WebSocket messages if it also offers HTTP/2, and else
/// answers once.
async fn secure_app(cert: &(PathBuf, PathBuf), protocols: &[&str], clients: Option<&Path>) -> SecureApp {
    let chain = CertificateDer::pem_file_iter(&cert.0).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(&cert.1).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let offers_http2 = protocols.contains(&"h2");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (connections, handshakes) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
    let app = SecureApp { port, connections: Arc::clone(&connections), handshakes: Arc::clone(&handshakes) };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            connections.fetch_add(1, Ordering::SeqCst);
            handshakes.lock().unwrap().extend(stream.get_ref().1.handshake_kind());
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            tokio::spawn(async move {
                if http2 {
                    let tell = |request| async move { reply(describe(&request)) };
                    serve_http2(Builder::new(TokioExecutor::new()), stream, tell).await;
                } else if offers_http2 {
                    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                    while let Some(Ok(message)) = socket.next().await {
                        let _ = socket.send(message).await;
                    }
                } else {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret";
                    let mut head = [0; 4096];
                    let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut head).await;
                    let _ = stream.write_all(answer).await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    app
}

fn trusting(cert: &(PathBuf, PathBuf)) -> UpstreamTls {
    UpstreamTls::default().ca_file(&cert.0)
}

#[tokio::test]
async fn http2_is_used_if_offered_and_a_websocket_gets_its_own_connection() {
    let folder = tempfile::tempdir().unwrap();
    let cert = certificate(folder.path(), "localhost");
    let app = secure_app(&cert, &["h2", "http/1.1"], None).await;
    let url = format!("https://localhost:{}", app.port);
    let proxy = proxy_for(&[url], |upstream| upstream.tls = trusting(&cert)).await;
    for _ in 0..5 {
        let answer = raw(&proxy.address, &get("/a?b")).await;
        assert!(answer.contains("HTTP/2.0 GET https://app.example/a?b\n"), "{answer}");
    }
    assert_eq!(app.connections.load(Ordering::SeqCst), 1);
    let request = format!("ws://{}/ws", proxy.address).into_client_request().unwrap();
    let (mut socket, _) = with_timeout(tokio_tungstenite::connect_async(request)).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(with_timeout(socket.next()).await.unwrap().unwrap().to_text().unwrap(), "hello");
    assert_eq!(app.connections.load(Ordering::SeqCst), 2);
    assert!(raw(&proxy.address, &get("/")).await.contains("HTTP/2.0 GET"));
    assert_eq!(app.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_app_that_requests_a_client_certificate_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let cert = certificate(folder.path(), "localhost");
    let ours = certificate(folder.path(), "huggate");
    let app = secure_app(&cert, &["http/1.1"], Some(&ours.0)).await;
    for (client, expected) in
        [(Some(ClientCertificate::new(&ours.0, &ours.1)), "HTTP/1.1 200"), (None, "HTTP/1.1 502")]
    {
        let url = format!("https://localhost:{}", app.port);
        let tls = trusting(&cert).client(client);
        let proxy = proxy_for(&[url], |upstream| upstream.tls = tls).await;
        let answer = raw(&proxy.address, &get("/")).await;
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[tokio::test]
async fn server_name_replaces_the_host_in_certificate_verification() {
    let folder = tempfile::tempdir().unwrap();
    let cert = certificate(folder.path(), "app.internal");
    let app = secure_app(&cert, &["http/1.1"], None).await;
    for (server_name, expected) in [(Some("app.internal".to_owned()), "HTTP/1.1 200"), (None, "HTTP/1.1 502")]
    {
        let url = format!("https://127.0.0.1:{}", app.port);
        let mut tls = trusting(&cert);
        tls.server_name = server_name;
        let proxy = proxy_for(&[url], |upstream| upstream.tls = tls).await;
        let answer = raw(&proxy.address, &get("/")).await;
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[tokio::test]
async fn later_connections_resume_the_tls_session() {
    let folder = tempfile::tempdir().unwrap();
    let cert = certificate(folder.path(), "localhost");
    // The app closes each connection after one response.
    let app = secure_app(&cert, &["http/1.1"], None).await;
    let url = format!("https://localhost:{}", app.port);
    let proxy = proxy_for(&[url], |upstream| upstream.tls = trusting(&cert)).await;
    for _ in 0..3 {
        let answer = raw(&proxy.address, &get("/")).await;
        assert!(answer.ends_with("secret"), "{answer}");
    }
    let handshakes = app.handshakes.lock().unwrap().clone();
    assert_eq!(handshakes[1..], [HandshakeKind::Resumed; 2], "{handshakes:?}");
}

#[tokio::test]
async fn an_unusable_file_is_named_at_startup() {
    let folder = tempfile::tempdir().unwrap();
    let cert = certificate(folder.path(), "localhost");
    let client = |cert: &Path, key: &Path| UpstreamTls::default().client(ClientCertificate::new(cert, key));
    for (tls, expected) in [
        (UpstreamTls::default().ca_file(folder.path().join("none")), "upstream_tls.ca_file"),
        (UpstreamTls::default().ca_file(&cert.1), "contains no certificate"),
        (client(&cert.0, &cert.0), "upstream_tls.key_file"),
        (client(&cert.1, &cert.1), "upstream_tls.cert_file"),
    ] {
        let url = huggate::upstream::UpstreamUrl::parse("https://localhost:1").unwrap();
        let mut settings = crate::world::upstream(url);
        settings.tls = tls;
        let running = huggate::server::Running::default();
        let error = huggate::upstream::Upstream::new(&settings, &running).unwrap_err();
        let texts = crate::errors::chain(&error).join(": ");
        assert!(texts.contains(expected), "{texts}");
    }
}
