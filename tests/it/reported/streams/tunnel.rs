//! WebSockets over HTTP/1.1 and HTTP/2: use, and the end of the session.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::Request;
use http_body_util::Empty;
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::exchange::{VERSIONS, Version};
use super::{IDLE, STORES, Stage};
use crate::proxy::{wait_closed, with_timeout};
use crate::world::{Ask, Browser, CLIENT, upgraded};

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// An open WebSocket: the client's end and the app's, byte by byte.
struct Tunnel {
    client: Box<dyn Duplex>,
    app: TcpStream,
}

/// Frames without a payload, and one with. Those of the client are masked with zeros.
const TEXT: &[u8] = b"\x81\x02hi";
const MASKED_TEXT: &[u8] = b"\x81\x82\0\0\0\0hi";
const PING: &[u8] = b"\x89\x00";
const MASKED_PONG: &[u8] = b"\x8a\x80\0\0\0\0";

impl Tunnel {
    async fn open(stage: &Stage, version: Version, cookie: &str) -> Self {
        let client = async {
            match version {
                Version::Http1 => {
                    let ask = Ask::websocket("/ws").with("host", stage.host()).with("cookie", cookie);
                    Box::new(upgraded(&stage.address, ask).await) as Box<dyn Duplex>
                }
                Version::Http2 => Box::new(over_http2(stage, cookie).await),
            }
        };
        let app = async {
            let (mut app, head) = stage.app.request().await;
            let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
            let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
            );
            app.write_all(answer.as_bytes()).await.unwrap();
            app
        };
        let (client, app) = with_timeout(async { tokio::join!(client, app) }).await;
        Self { client, app }
    }

    async fn send_to_app(&mut self, frame: &[u8]) {
        self.client.write_all(frame).await.unwrap();
        let mut got = vec![0; frame.len()];
        with_timeout(self.app.read_exact(&mut got)).await.unwrap();
        assert_eq!(got, frame);
    }

    async fn send_to_client(&mut self, frame: &[u8]) {
        self.app.write_all(frame).await.unwrap();
        let mut got = vec![0; frame.len()];
        with_timeout(self.client.read_exact(&mut got)).await.unwrap();
        assert_eq!(got, frame);
    }

    /// Both sides get 1008 and then the end.
    async fn expect_closed(mut self) {
        let mut head = [0; 4];
        with_timeout(self.client.read_exact(&mut head)).await.unwrap();
        assert_eq!((head[0], &head[2..]), (0x88, &[0x03, 0xf0][..]), "not a close with 1008");
        let mut to_app = [0; 8];
        with_timeout(self.app.read_exact(&mut to_app)).await.unwrap();
        let code: Vec<u8> = to_app[6..].iter().zip(&to_app[2..4]).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!((to_app[0], &code[..]), (0x88, &[0x03, 0xf0][..]), "not a close with 1008");
        // Both complete the closing handshake.
        self.client.write_all(b"\x88\x82\0\0\0\0\x03\xf0").await.unwrap();
        self.app.write_all(b"\x88\x02\x03\xf0").await.unwrap();
        let mut rest = Vec::new();
        let _ = with_timeout(self.client.read_to_end(&mut rest)).await;
        assert!(rest.len() < 125, "data after the close frame: {rest:?}");
        assert!(wait_closed(&mut self.app).await);
    }
}

/// RFC 8441, with a client of hyper's.
fn over_http2<'a>(stage: &'a Stage, cookie: &'a str) -> BoxFuture<'a, TokioIo<hyper::upgrade::Upgraded>> {
    Box::pin(async move {
        let stream = TokioIo::new(TcpStream::connect(&stage.address).await.unwrap());
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let health = format!("http://{}/oauth2/healthz", stage.host());
        let first = Request::get(health).body(Empty::<Bytes>::new()).unwrap();
        // The SETTINGS that allow extended CONNECT have arrived with the response.
        with_timeout(sender.send_request(first)).await.unwrap();
        let mut request = Request::connect(format!("http://{}/ws", stage.host()))
            .header("sec-websocket-version", "13")
            .header("cookie", cookie)
            .body(Empty::new())
            .unwrap();
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let response = with_timeout(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), 200);
        TokioIo::new(hyper::upgrade::on(response).await.unwrap())
    })
}

#[tokio::test]
async fn a_websocket_on_which_frames_pass_keeps_its_session_pings_and_pongs_too() {
    for store in STORES {
        for version in VERSIONS {
            let stage = Stage::new(store).await;
            let cookie = stage.world.signed_in("ada").await.cookie_line();
            let mut tunnel = Tunnel::open(&stage, version, &cookie).await;
            for _ in 0..2 {
                stage.pass(IDLE - 1).await;
                tunnel.send_to_client(TEXT).await;
                stage.pass(IDLE - 1).await;
                tunnel.send_to_app(MASKED_TEXT).await;
                stage.pass(IDLE - 1).await;
                tunnel.send_to_client(PING).await;
                stage.pass(IDLE - 1).await;
                tunnel.send_to_app(MASKED_PONG).await;
            }
            stage.pass(IDLE - 1).await;
            stage.world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(200);
        }
    }
}

#[tokio::test]
async fn a_half_closed_websocket_is_closed_between_frames_when_its_session_ends() {
    for store in STORES {
        for version in VERSIONS {
            let stage = Stage::new(store).await;
            let mut ada = stage.world.signed_in("ada").await;
            let mut tunnel = Tunnel::open(&stage, version, &ada.cookie_line()).await;
            tunnel.client.shutdown().await.unwrap();
            assert_eq!(with_timeout(tunnel.app.read(&mut [0; 1])).await.unwrap(), 0);
            tunnel.send_to_client(TEXT).await;
            // The app is in the middle of a frame.
            tunnel.app.write_all(b"\x81\x04ha").await.unwrap();
            let mut begun = [0; 4];
            with_timeout(tunnel.client.read_exact(&mut begun)).await.unwrap();
            ada.open("/oauth2/sign_out").await.expect(200);
            tunnel.app.write_all(b"lf\x81\x02no").await.unwrap();
            let mut rest = [0; 6];
            with_timeout(tunnel.client.read_exact(&mut rest)).await.unwrap();
            assert_eq!((&rest[..2], rest[2], &rest[4..]), (&b"lf"[..], 0x88, &[0x03, 0xf0][..]));
            tunnel.app.write_all(b"\x88\x02\x03\xf0").await.unwrap();
            let mut rest = Vec::new();
            let _ = with_timeout(tunnel.client.read_to_end(&mut rest)).await;
            assert!(rest.len() < 125, "data after the close frame: {rest:?}");
            assert!(wait_closed(&mut tunnel.app).await);
        }
    }
}

#[tokio::test]
async fn a_websocket_on_which_nothing_passes_is_closed_with_its_idle_session() {
    for store in STORES {
        for version in VERSIONS {
            let stage = Stage::new(store).await;
            let cookie = stage.world.signed_in("ada").await.cookie_line();
            let mut tunnel = Tunnel::open(&stage, version, &cookie).await;
            stage.pass(IDLE - 1).await;
            tunnel.send_to_app(MASKED_TEXT).await;
            stage.pass(IDLE).await;
            tunnel.expect_closed().await;
            stage.world.send(Ask::fetch("/").with("cookie", &cookie)).await.expect(401);
        }
    }
}

#[tokio::test]
async fn every_end_of_a_session_closes_its_websockets_with_1008() {
    type End = fn(&Stage, &mut Browser<'_>) -> bool;
    // `true`: a revalidation brings the end.
    let ends: [End; 2] = [
        |stage, _| {
            stage.world.hub.disconnect("ada", CLIENT);
            true
        },
        |stage, _| {
            stage.world.hub.edit_user("ada", |ada| ada.orgs.retain(|org| org.slug != "acme"));
            true
        },
    ];
    for store in STORES {
        for version in VERSIONS {
            for end in ends {
                let stage = Stage::with(move |session| {
                    session.store = store;
                    session.idle_timeout = Duration::from_secs(12 * 3600);
                })
                .await;
                let mut ada = stage.world.signed_in("ada").await;
                let tunnel = Tunnel::open(&stage, version, &ada.cookie_line()).await;
                assert!(end(&stage, &mut ada));
                stage.pass(15 * 60).await;
                tunnel.expect_closed().await;
            }
            let stage = Stage::new(store).await;
            let mut ada = stage.world.signed_in("ada").await;
            let tunnels = [
                Tunnel::open(&stage, version, &ada.cookie_line()).await,
                Tunnel::open(&stage, version, &ada.cookie_line()).await,
            ];
            ada.at(&stage.world).open("/oauth2/sign_out").await.expect(200);
            for tunnel in tunnels {
                tunnel.expect_closed().await;
            }
            ada.fetch("/").await.expect(401);
        }
    }
}
