//! A connection that waits for room is served, whatever is reloaded meanwhile.

use std::io::Write;

use huggate::proxy::Proxy;
use huggate::server::{
    CertificateFiles, ListenAddress, Listener, Listeners, Running, Server, ServerSettings,
};
use huggate::upstream::{Upstream, UpstreamUrl};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::http2;
use crate::proxy::{ScriptedApp, public_gate, read_head, read_until, with_timeout};
use crate::world::{self, Log};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone";

/// How the client that waits speaks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Client {
    Http1,
    Http2,
    Tls,
}

/// A server of one connection, which a request in flight occupies.
struct Full {
    app: ScriptedApp,
    server: Server,
    listeners: Listeners,
    settings: ServerSettings,
    address: String,
    certificate: CertificateDer<'static>,
    log: Log,
    first: Option<(TcpStream, TcpStream)>,
    _folder: tempfile::TempDir,
}

impl Full {
    /// The request that occupies the connection is sent without TLS, before TLS is set.
    async fn start(tls: bool) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
            path
        };
        let files = CertificateFiles::new(
            write("cert.pem", made.cert.pem()),
            write("key.pem", made.signing_key.serialize_pem()),
        );
        let (app, to) = ScriptedApp::start().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let running = Running::default();
        let to_app = world::upstream(UpstreamUrl::parse(&format!("http://{to}")).unwrap());
        let upstream = Upstream::new(&to_app, &running).unwrap();
        let proxy = Proxy::new(public_gate(&format!("http://{address}")).await, upstream);
        let service = move |request, context| {
            let proxy = proxy.clone();
            async move { proxy.handle(request, context).await }
        };
        let log = Log::start();
        let mut settings = world::server().connections(1);
        let server = Server::new(settings.clone(), running).unwrap();
        let listeners = world::listeners(listener);
        tokio::spawn(server.clone().run(listeners.clone(), service));
        let mut first = TcpStream::connect(&address).await.unwrap();
        first.write_all(b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let (upstream, _) = app.request().await;
        if tls {
            settings.tls = vec![files];
            server.reload(settings.clone()).unwrap();
        }
        let certificate = made.cert.der().clone();
        let first = Some((first, upstream));
        Self { app, server, listeners, settings, address, certificate, log, first, _folder: folder }
    }

    /// Connects, sends a request, and returns when the connection waits for room.
    async fn waiting(&self, client: Client) -> JoinHandle<String> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let certificate = self.certificate.clone();
        let request = tokio::spawn(async move {
            match client {
                Client::Http1 => whole(stream).await,
                Client::Tls => whole(encrypted(stream, certificate).await).await,
                Client::Http2 => {
                    let mut sender = http2::over(stream).await;
                    http2::text(http2::ask(&mut sender, http2::get("/next")).await).await
                }
            }
        });
        with_timeout(async {
            while !self.log.text().contains("a new one has to wait") {
                tokio::task::yield_now().await;
            }
        })
        .await;
        request
    }

    /// As the program does: settings first, listeners after them.
    fn reload(&self) {
        self.server.reload(self.settings.clone()).unwrap();
        self.listeners.replace(|_| true, Vec::new());
    }

    /// Completes the request that occupies the connection.
    async fn make_room(&mut self) {
        let (mut client, mut upstream) = self.first.take().unwrap();
        upstream.write_all(OK).await.unwrap();
        read_until(&mut client, "done").await;
        // The client keeps its connection, which is evicted; the app keeps its own, and
        // gets the next request on it.
        let request = read_head(&mut upstream).await;
        assert!(request.starts_with("GET /next "), "{request}");
        upstream.write_all(OK).await.unwrap();
    }
}

async fn whole(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) -> String {
    let request = b"GET /next HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    // The end of the answer shows whether the connection was reset.
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn encrypted(
    stream: TcpStream,
    certificate: CertificateDer<'static>,
) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

async fn served(request: JoinHandle<String>) {
    let answer = with_timeout(request).await.unwrap();
    assert!(answer.ends_with("done"), "{answer}");
}

#[tokio::test]
async fn a_connection_that_waits_for_room_survives_reloads_and_is_served() {
    for client in [Client::Http1, Client::Http2, Client::Tls] {
        let mut full = Full::start(client == Client::Tls).await;
        let next = full.waiting(client).await;
        for _ in 0..3 {
            full.reload();
            // The accept loop has to see each of them.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        }
        assert!(!next.is_finished(), "{client:?} was closed, or served beside the limit");
        full.make_room().await;
        served(next).await;
    }
}

#[tokio::test]
async fn a_limit_that_a_reload_raises_holds_for_a_connection_that_waits() {
    for client in [Client::Http1, Client::Http2, Client::Tls] {
        let mut full = Full::start(client == Client::Tls).await;
        let next = full.waiting(client).await;
        full.settings.connections = 2;
        full.reload();
        let (mut upstream, request) = full.app.request().await;
        assert!(request.starts_with("GET /next "), "{request}");
        upstream.write_all(OK).await.unwrap();
        served(next).await;
    }
}

#[tokio::test]
async fn a_connection_that_waits_is_served_after_its_listener_was_replaced() {
    let mut full = Full::start(false).await;
    let next = full.waiting(Client::Http1).await;
    let other = Listener::bind(&ListenAddress::parse("127.0.0.1:0").unwrap(), 0).unwrap();
    let other_address = other.address().to_string();
    full.listeners.replace(|_| false, vec![other]);
    // The address of the listener is free at once.
    let old = ListenAddress::parse(&full.address).unwrap();
    let rebound = with_timeout(async {
        loop {
            match Listener::bind(&old, 0) {
                Ok(listener) => return listener,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    drop(rebound);
    assert!(!next.is_finished(), "it was closed with its listener");
    full.make_room().await;
    served(next).await;
    // The new listener serves.
    let mut client = TcpStream::connect(&other_address).await.unwrap();
    client.write_all(b"GET /new HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (mut upstream, request) = full.app.request().await;
    assert!(request.starts_with("GET /new "), "{request}");
    upstream.write_all(OK).await.unwrap();
    read_until(&mut client, "done").await;
}
