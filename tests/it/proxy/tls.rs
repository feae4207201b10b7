//! TLS from clients and to the app.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use huggate::server::CertificateFiles;
use huggate::upstream::UpstreamUrl;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{TestProxy, echo_app};
use crate::world::{self, raw};

/// A certificate for `localhost` and its key, in files of `folder`.
fn certificate(folder: &Path) -> (PathBuf, PathBuf) {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert_file, cert.pem()).unwrap();
    std::fs::write(&key_file, signing_key.serialize_pem()).unwrap();
    (cert_file, key_file)
}

#[tokio::test]
async fn clients_are_served_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = certificate(folder.path());
    let (app, _) = echo_app().await;
    let tls = CertificateFiles::new(cert_file.clone(), key_file);
    let proxy = TestProxy::start_with(app, |_| {}, |server| server.tls = vec![tls]).await;
    let root = reqwest::Certificate::from_pem(&std::fs::read(&cert_file).unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
    let port = proxy.address.rsplit(':').next().unwrap();
    for _ in 0..2 {
        let answer = client.get(format!("https://localhost:{port}/x")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.text().await.unwrap().contains("GET /x HTTP/1.1"));
    }
    // Plain HTTP to the same port is rejected, and other clients are not affected.
    assert!(!raw(&proxy.address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.contains("HTTP/1.1 200"));
    assert_eq!(client.get(format!("https://localhost:{port}/x")).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_unusable_certificate_is_named_at_startup() {
    let folder = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = certificate(folder.path());
    let other = tempfile::tempdir().unwrap();
    let (_, other_key) = certificate(other.path());
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    for (cert_file, key_file, named) in [
        (empty.clone(), key_file.clone(), "empty.pem"),
        (cert_file.clone(), empty, "empty.pem"),
        (folder.path().join("missing.pem"), key_file, "missing.pem"),
        (cert_file, other_key, "cert.pem"),
    ] {
        let mut settings = world::server();
        settings.tls = vec![CertificateFiles::new(cert_file, key_file)];
        let error = huggate::server::Server::new(settings, huggate::server::Running::default()).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}

/// An app with TLS that answers once per connection.
async fn secure_app(cert_file: &Path, key_file: &Path) -> u16 {
    let chain = CertificateDer::pem_file_iter(cert_file).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(key_file).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret";
            let _ = stream.write_all(answer).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test]
async fn an_https_app_is_verified_against_ca_file() {
    let folder = tempfile::tempdir().unwrap();
    let (cert_file, key_file) = certificate(folder.path());
    let stranger = tempfile::tempdir().unwrap();
    let (strange_cert, _) = certificate(stranger.path());
    let port = secure_app(&cert_file, &key_file).await;
    for (ca_file, expected) in
        [(Some(cert_file), "HTTP/1.1 200"), (Some(strange_cert), "HTTP/1.1 502"), (None, "HTTP/1.1 502")]
    {
        let proxy = TestProxy::start_with(
            "127.0.0.1:1".parse().unwrap(),
            |upstream| {
                upstream.default = UpstreamUrl::parse(&format!("https://localhost:{port}")).unwrap().into();
                upstream.tls.ca_file = ca_file;
            },
            |_| {},
        )
        .await;
        let answer = raw(&proxy.address, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with(expected), "{answer}");
    }
}
