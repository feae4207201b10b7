//! Listeners: unix sockets, the PROXY protocol, certificates by server name, and the
//! limits on connections.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use huggate::TrustedProxies;
use huggate::server::{
    CertificateFiles, ListenAddress, Listener, Listeners, Running, Server, ServerSettings,
};
use huggate::upstream::{Upstream, UpstreamUrl};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use super::{TestProxy, echo_app, public_gate, read_head, wait_closed, with_timeout};
use crate::world::{self, raw};

const GET: &[u8] = b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

fn loopback() -> TrustedProxies {
    TrustedProxies::parse(["127.0.0.1/32"]).unwrap()
}

async fn all(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // A reset ends the stream as well.
    let _ = with_timeout(stream.read_to_end(&mut bytes)).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test]
async fn a_unix_socket_gets_its_mode_and_its_peer_can_be_trusted() {
    let (app, _) = echo_app().await;
    let folder = tempfile::tempdir().unwrap();
    for (trusted, expected) in [(false, false), (true, true)] {
        let path = folder.path().join(format!("socket-{trusted}"));
        let proxies = TrustedProxies::default();
        let proxies = if trusted { proxies.with_unix_sockets() } else { proxies };
        let gate = huggate::Gate::builder()
            .public_url("http://x")
            .issuer("http://127.0.0.1:1")
            .public_client("nobody")
            .secret(world::SECRET)
            .allow_anyone()
            .route(huggate::Route::public("/**"))
            .trusted_proxies(proxies.clone())
            .build()
            .await
            .unwrap();
        let running = Running::default();
        let to_app = world::upstream(UpstreamUrl::parse(&format!("http://{app}")).unwrap());
        let upstream = Upstream::new(&to_app, &running).unwrap();
        let proxy = huggate::proxy::Proxy::new(gate, upstream);
        let settings = world::server().trusted_proxies(proxies);
        let server = Server::new(settings, running.clone()).unwrap();
        let listener = Listener::bind(&ListenAddress::Unix(path.clone()), 0o620).unwrap();
        let service = move |request, context| {
            let proxy = proxy.clone();
            async move { proxy.handle(request, context).await }
        };
        let ended = tokio::spawn(server.run(Listeners::new(vec![listener]), service));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o620);
        let mut client = UnixStream::connect(&path).await.unwrap();
        client
            .write_all(
                b"GET /x HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 203.0.113.7\r\nconnection: close\r\n\r\n",
            )
            .await
            .unwrap();
        let answer = all(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert_eq!(answer.contains("x-forwarded-for: 203.0.113.7"), expected, "{answer}");
        running.stop();
        assert!(with_timeout(ended).await.unwrap());
        assert!(!path.exists(), "the socket file was not removed");
    }
}

#[tokio::test]
async fn several_addresses_are_served_ipv6_among_them() {
    let (app, _) = echo_app().await;
    let running = Running::default();
    let to_app = world::upstream(UpstreamUrl::parse(&format!("http://{app}")).unwrap());
    let upstream = Upstream::new(&to_app, &running).unwrap();
    let proxy = huggate::proxy::Proxy::new(public_gate("http://x").await, upstream);
    let bind = |address| Listener::bind(&ListenAddress::parse(address).unwrap(), 0).unwrap();
    let listeners = Listeners::new(vec![bind("127.0.0.1:0"), bind("[::1]:0"), bind("[::]:0")]);
    let addresses: Vec<String> = listeners.addresses().iter().map(ToString::to_string).collect();
    let service = move |request, context| {
        let proxy = proxy.clone();
        async move { proxy.handle(request, context).await }
    };
    tokio::spawn(Server::new(world::server(), running).unwrap().run(listeners, service));
    let both = addresses[2].rsplit(':').next().unwrap();
    for (address, seen) in [
        (addresses[0].clone(), "127.0.0.1"),
        (addresses[1].clone(), "::1"),
        (format!("[::1]:{both}"), "::1"),
        // An IPv4 client of a dual-stack socket is reported as IPv4.
        (format!("127.0.0.1:{both}"), "127.0.0.1"),
    ] {
        let answer = raw(&address, GET).await;
        assert!(answer.contains(&format!("x-forwarded-for: {seen}\r\n")), "{address}: {answer}");
    }
}

#[tokio::test]
async fn connections_are_limited_per_address_and_others_are_served() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start_with(app, |_| {}, |server| server.connections_per_address = 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(proxy.open(b"").await);
    }
    let mut fourth = TcpStream::connect(&proxy.address).await.unwrap();
    // The connection may be closed before the request is written.
    let _ = fourth.write_all(GET).await;
    assert_eq!(all(&mut fourth).await, "");
    let other = TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = other.connect(proxy.address.parse().unwrap()).await.unwrap();
    other.write_all(GET).await.unwrap();
    assert!(all(&mut other).await.starts_with("HTTP/1.1 200"));
    held.pop();
    // The permit is released once the server has noticed the close.
    with_timeout(async {
        while !raw(&proxy.address, GET).await.starts_with("HTTP/1.1 200") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn only_a_trusted_peers_proxy_header_is_read() {
    let (app, _) = echo_app().await;
    let with_proxy_protocol = |server: &mut ServerSettings| {
        server.proxy_protocol = true;
        server.trusted_proxies = loopback();
        server.header_timeout = Duration::from_millis(500);
        server.connections_per_address = 1;
    };
    let proxy = TestProxy::start_with(app, |_| {}, with_proxy_protocol).await;
    let mut version2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c".to_vec();
    version2.extend([203, 0, 113, 9, 127, 0, 0, 1, 0x12, 0x34, 0, 80]);
    for (what, header, seen) in [
        ("version 1", b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n".to_vec(), Some("203.0.113.7")),
        ("version 1 of IPv6", b"PROXY TCP6 2001:db8::7 ::1 4711 80\r\n".to_vec(), Some("2001:db8::7")),
        ("version 2", version2.clone(), Some("203.0.113.9")),
        ("a health check", b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00".to_vec(), Some("127.0.0.1")),
        ("unknown", b"PROXY UNKNOWN\r\n".to_vec(), Some("127.0.0.1")),
        ("none", vec![], None),
        ("garbage", b"PROXY TCP4 203.0.113.7\r\n".to_vec(), None),
        ("no end", [b"PROXY TCP4 ".to_vec(), vec![b'1'; 9_000]].concat(), None),
        ("a huge length", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff".to_vec(), None),
    ] {
        let mut client = proxy.open(b"").await;
        // Byte by byte, as a network may deliver it.
        for byte in header.iter().take(200) {
            if client.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
        let _ = client.write_all(header.get(200..).unwrap_or_default()).await;
        let _ = client.write_all(GET).await;
        let answer = all(&mut client).await;
        match seen {
            Some(seen) => {
                assert!(answer.starts_with("HTTP/1.1 200"), "{what}: {answer}");
                assert!(answer.contains(&format!("x-forwarded-for: {seen}\r\n")), "{what}: {answer}");
            }
            None => assert!(!answer.contains("HTTP/1.1 200"), "{what}: {answer}"),
        }
    }
    // timeouts.header applies to an incomplete PROXY header.
    let mut silent = proxy.open(b"PROXY TCP4 203").await;
    assert!(wait_closed(&mut silent).await);
    // The limit applies to the address in the header.
    let held = proxy.open(b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\nGET").await;
    let mut same = proxy.open(b"PROXY TCP4 203.0.113.7 127.0.0.1 4712 80\r\n").await;
    let _ = same.write_all(GET).await;
    assert_eq!(all(&mut same).await, "");
    drop(held);
    // From an untrusted peer the header is a malformed request.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stranger = socket.connect(proxy.address.parse().unwrap()).await.unwrap();
    stranger.write_all(b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n").await.unwrap();
    let _ = stranger.write_all(GET).await;
    assert!(all(&mut stranger).await.starts_with("HTTP/1.1 400"));
}

/// A certificate for `name` in `folder`.
fn certificate(folder: &Path, name: &str) -> CertificateFiles {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let (cert_file, key_file) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    std::fs::write(&cert_file, made.cert.pem()).unwrap();
    std::fs::write(&key_file, made.signing_key.serialize_pem()).unwrap();
    CertificateFiles::new(cert_file, key_file)
}

/// The certificate, TLS version and ALPN protocol (RFC 7301) that a client gets.
async fn handshake(
    address: &str,
    name: &'static str,
    versions: &[&'static rustls::SupportedProtocolVersion],
    protocols: &[&str],
) -> Option<(CertificateDer<'static>, rustls::ProtocolVersion, Option<String>)> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anything(provider)))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name).unwrap();
    let stream =
        with_timeout(tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream)).await.ok()?;
    let session = stream.get_ref().1;
    Some((
        session.peer_certificates().unwrap()[0].clone(),
        session.protocol_version().unwrap(),
        session.alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap()),
    ))
}

/// Accepts any certificate; the tests compare it afterwards.
#[derive(Debug)]
struct Anything(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test]
async fn the_certificate_is_selected_by_server_name() {
    let (app, _) = echo_app().await;
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<_> = ["first.example", "*.wild.example", "third.example"]
        .into_iter()
        .map(|name| certificate(folder.path(), name))
        .collect();
    let der = |files: &CertificateFiles| CertificateDer::from_pem_file(&files.cert_file).unwrap();
    let proxy = TestProxy::start_with(app, |_| {}, |server| server.tls = files.clone()).await;
    let both = [&rustls::version::TLS12, &rustls::version::TLS13];
    for (name, index) in [
        ("first.example", 0),
        ("a.wild.example", 1),
        ("third.example", 2),
        ("wild.example", 0),
        ("a.b.wild.example", 0),
        ("unknown.example", 0),
        ("127.0.0.1", 0),
    ] {
        let (got, ..) = handshake(&proxy.address, name, &both, &[]).await.unwrap();
        assert_eq!(got, der(&files[index]), "{name}");
    }
    for (version, expected) in [
        (&rustls::version::TLS12, rustls::ProtocolVersion::TLSv1_2),
        (&rustls::version::TLS13, rustls::ProtocolVersion::TLSv1_3),
    ] {
        for (offered, protocol) in
            [(vec!["h2", "http/1.1"], Some("h2")), (vec!["http/1.1"], Some("http/1.1")), (vec![], None)]
        {
            let (_, version, got) =
                handshake(&proxy.address, "first.example", &[version], &offered).await.unwrap();
            assert_eq!((version, got.as_deref()), (expected, protocol));
        }
    }
    let none = handshake(&proxy.address, "first.example", &both, &["spdy/3"]).await;
    assert!(none.is_none(), "no protocol in common");
}

#[tokio::test]
async fn certificates_and_listeners_are_replaced_while_connections_stay_open() {
    let (app, _) = echo_app().await;
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (certificate(folder.path(), "a.example"), certificate(folder.path(), "b.example"));
    let gate = public_gate("http://a.example").await;
    let running = Running::default();
    let to_app = world::upstream(UpstreamUrl::parse(&format!("http://{app}")).unwrap());
    let upstream = Upstream::new(&to_app, &running).unwrap();
    let proxy = huggate::proxy::Proxy::new(gate, upstream);
    let settings = world::server().tls(vec![first.clone()]);
    let server = Server::new(settings.clone(), running.clone()).unwrap();
    let bind = || Listener::bind(&ListenAddress::parse("127.0.0.1:0").unwrap(), 0).unwrap();
    let listeners = Listeners::new(vec![bind()]);
    let service = move |request, context| {
        let proxy = proxy.clone();
        async move { proxy.handle(request, context).await }
    };
    tokio::spawn(server.clone().run(listeners.clone(), service));
    let old = listeners.addresses()[0].clone();
    let der = |files: &CertificateFiles| CertificateDer::from_pem_file(&files.cert_file).unwrap();
    let got = async |address: &ListenAddress| {
        handshake(&address.to_string(), "a.example", &[&rustls::version::TLS13], &[]).await.unwrap().0
    };
    assert_eq!(got(&old).await, der(&first));
    let missing = CertificateFiles::new(folder.path().join("missing"), first.key_file.clone());
    server.reload(settings.clone().tls(vec![missing])).unwrap_err();
    assert_eq!(got(&old).await, der(&first), "a failed reload must change nothing");
    server.reload(settings.tls(vec![second.clone()])).unwrap();
    assert_eq!(got(&old).await, der(&second));
    // Adds an address, then removes all.
    let new = bind();
    let new_address = new.address().clone();
    listeners.replace(|_| true, vec![new]);
    assert_eq!(got(&new_address).await, der(&second));
    assert_eq!(got(&old).await, der(&second));
    listeners.replace(|_| false, vec![]);
    with_timeout(async {
        while TcpStream::connect(old.to_string()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(TcpStream::connect(new_address.to_string()).await.is_err());
}

#[tokio::test]
async fn connections_are_spread_over_all_threads() {
    let (app, _) = echo_app().await;
    let gate = public_gate("http://x").await;
    let running = Running::default();
    let to_app = world::upstream(UpstreamUrl::parse(&format!("http://{app}")).unwrap());
    let upstream = Upstream::new(&to_app, &running).unwrap();
    let proxy = huggate::proxy::Proxy::new(gate, upstream);
    let server = Server::new(world::server().threads(3), running.clone()).unwrap();
    let listeners =
        Listeners::new(vec![Listener::bind(&ListenAddress::parse("127.0.0.1:0").unwrap(), 0).unwrap()]);
    let address = listeners.addresses()[0].to_string();
    let seen = Arc::new(std::sync::Mutex::new(std::collections::BTreeSet::new()));
    let service = {
        let seen = Arc::clone(&seen);
        move |request, context| {
            seen.lock().unwrap().insert(std::thread::current().name().unwrap_or_default().to_owned());
            let proxy = proxy.clone();
            async move { proxy.handle(request, context).await }
        }
    };
    let ended = tokio::spawn(server.run(listeners, service));
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = TcpStream::connect(&address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200"));
        clients.push(client);
    }
    assert_eq!(
        seen.lock().unwrap().iter().map(String::as_str).collect::<Vec<_>>(),
        ["huggate-1", "huggate-2", "huggate-3"]
    );
    running.stop();
    assert!(with_timeout(ended).await.unwrap());
}
