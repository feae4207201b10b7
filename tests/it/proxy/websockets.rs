//! WebSockets: forwarded unchanged, and closed when the session ends.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{ScriptedApp, TestProxy, read_head, wait_closed, with_timeout};
use crate::world::{Ask, Front, World, raw, upgraded};

/// An app that echoes messages, accepts any subprotocol, and closes with code 4321 on the
/// message `close`.
pub(crate) async fn echo_websocket_app() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                #[expect(clippy::result_large_err, reason = "the library's signature")]
                let subprotocol = |request: &Request, mut response: Response| {
                    if let Some(asked) = request.headers().get("sec-websocket-protocol") {
                        response.headers_mut().insert("sec-websocket-protocol", asked.clone());
                    }
                    Ok(response)
                };
                let mut socket = tokio_tungstenite::accept_hdr_async(stream, subprotocol).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    if message.to_text().is_ok_and(|text| text == "close") {
                        let frame = CloseFrame { code: CloseCode::from(4321), reason: "as you wish".into() };
                        socket.close(Some(frame)).await.unwrap();
                        return;
                    }
                    if message.is_text() || message.is_binary() {
                        socket.send(message).await.unwrap();
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn messages_subprotocol_and_close_code_are_forwarded() {
    let proxy = TestProxy::start(echo_websocket_app().await).await;
    let mut request = format!("ws://{}/ws", proxy.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
    let (mut socket, response) = with_timeout(tokio_tungstenite::connect_async(request)).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    for number in 0..100 {
        socket.send(Message::text(format!("message {number}"))).await.unwrap();
    }
    for number in 0..100 {
        let message = with_timeout(socket.next()).await.unwrap().unwrap();
        assert_eq!(message.to_text().unwrap(), format!("message {number}"));
    }
    let large = vec![7; 1024 * 1024];
    socket.send(Message::binary(large.clone())).await.unwrap();
    assert_eq!(with_timeout(socket.next()).await.unwrap().unwrap().into_data(), large);
    socket.send(Message::text("close")).await.unwrap();
    let Message::Close(Some(frame)) = with_timeout(socket.next()).await.unwrap().unwrap() else {
        panic!("no close")
    };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4321, "as you wish"));
}

#[tokio::test]
async fn a_refused_upgrade_stays_http() {
    // A failed upgrade must not leave a raw tunnel.
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = proxy
        .open(b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\nx-forwarded-user: root\r\n\r\n")
        .await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 403"));
    // The bytes after the handshake are the next request, with its identity headers
    // removed.
    let next = with_timeout(async {
        tokio::select! {
            next = read_head(&mut upstream) => next,
            (_, next) = app.request() => next,
        }
    })
    .await;
    assert!(next.starts_with("GET /smuggled") && !next.contains("root"), "{next}");
}

#[tokio::test]
async fn a_websocket_is_closed_when_the_session_ends() {
    let world = World::of_acme(Front::Proxy).await;
    let mut ada = world.signed_in("ada").await;
    let ask = Ask::websocket("/ws").with("host", &world.address).with("cookie", &ada.cookie_line());
    let mut tunnel = with_timeout(upgraded(&world.address, ask.with("origin", &world.public_url))).await;
    // A text frame, masked with zeros, and the echo of it.
    let frame = *b"\x81\x85\0\0\0\0hello";
    tunnel.write_all(&frame).await.unwrap();
    let mut echo = frame;
    with_timeout(tunnel.read_exact(&mut echo)).await.unwrap();
    ada.open("/oauth2/sign_out").await.expect(200);
    let mut close = [0; 4];
    with_timeout(tunnel.read_exact(&mut close)).await.unwrap();
    assert_eq!(close, [0x88, 2 + b"the session has ended".len() as u8, 0x03, 0xf0], "not a close with 1008");
    // The client's close frame completes the closing handshake.
    tunnel.write_all(b"\x88\x82\0\0\0\0\x03\xf0").await.unwrap();
    let mut rest = Vec::new();
    with_timeout(tunnel.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"the session has ended", "data after the close frame");
}

#[tokio::test]
async fn a_websocket_needs_access_like_any_request() {
    let world = World::of_acme(Front::Proxy).await;
    let refused = world.send(Ask::websocket("/ws")).await.expect(401);
    assert!(refused.cookies().is_empty() && refused.json()["sign_in_url"].is_string());
    let mut ada = world.signed_in("ada").await;
    let before = world.app.calls();
    for origin in ["https://evil.example", "null", &format!("{}.evil.example", world.public_url)] {
        ada.ask(Ask::websocket("/ws").with("origin", origin)).await.expect(403);
    }
    assert_eq!(world.app.calls(), before);
}

#[tokio::test]
async fn websockets_are_closed_at_shutdown() {
    let proxy = TestProxy::start(echo_websocket_app().await).await;
    let request = format!("ws://{}/ws", proxy.address).into_client_request().unwrap();
    let (mut socket, _) = with_timeout(tokio_tungstenite::connect_async(request)).await.unwrap();
    proxy.running.stop();
    let Message::Close(Some(frame)) = with_timeout(socket.next()).await.unwrap().unwrap() else {
        panic!("no close")
    };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "the server is going away"));
    assert!(with_timeout(socket.next()).await.is_none());
    assert!(with_timeout(proxy.ended).await.unwrap(), "the drain timeout passed");
}

#[tokio::test]
async fn many_websockets_do_not_delay_requests() {
    let proxy = TestProxy::start(echo_websocket_app().await).await;
    let mut sockets = Vec::new();
    for _ in 0..50 {
        let request = format!("ws://{}/ws", proxy.address).into_client_request().unwrap();
        sockets.push(with_timeout(tokio_tungstenite::connect_async(request)).await.unwrap().0);
    }
    let health = raw(&proxy.address, b"GET /oauth2/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let health = tokio::time::timeout(Duration::from_secs(5), health).await.unwrap();
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
}

/// Opens a tunnel and returns the client's and the app's end.
async fn both_ends(proxy: &TestProxy, app: &ScriptedApp) -> (TokioIo<Upgraded>, TcpStream) {
    let host = proxy.address.clone();
    let tunnel = tokio::spawn(async move { upgraded(&host, Ask::websocket("/ws").with("host", "x")).await });
    let (mut upstream, _) = app.request().await;
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    upstream.write_all(switch).await.unwrap();
    (with_timeout(tunnel).await.unwrap(), upstream)
}

/// The next frame with a short payload, unmasked: its first byte, and the payload.
async fn frame(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let [first, second] =
        with_timeout(async { [stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap()] }).await;
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        with_timeout(stream.read_exact(&mut mask)).await.unwrap();
    }
    let mut payload = vec![0; usize::from(second & 0x7f)];
    with_timeout(stream.read_exact(&mut payload)).await.unwrap();
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    (first, payload)
}

#[tokio::test]
async fn the_close_frame_comes_after_the_current_frame() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let (mut client, mut upstream) = both_ends(&proxy, &app).await;
    // Half a frame each way.
    client.write_all(b"\x81\x85\0\0\0\0he").await.unwrap();
    upstream.write_all(b"\x82\x7e\x00\x80").await.unwrap();
    let mut half = [0; 8];
    with_timeout(upstream.read_exact(&mut half)).await.unwrap();
    with_timeout(client.read_exact(&mut half[..4])).await.unwrap();
    proxy.running.stop();
    // Both frames are completed, and later ones are not forwarded.
    client.write_all(b"llo\x81\x83\0\0\0\0not").await.unwrap();
    upstream.write_all(&[b'x'; 0x80]).await.unwrap();
    upstream.write_all(b"\x81\x03not").await.unwrap();
    let mut rest = [0; 3];
    with_timeout(upstream.read_exact(&mut rest)).await.unwrap();
    assert_eq!(&rest, b"llo");
    let close = (0x88, [&1001_u16.to_be_bytes()[..], b"the server is going away"].concat());
    assert_eq!(frame(&mut upstream).await, close);
    let mut payload = [0; 0x80];
    with_timeout(client.read_exact(&mut payload)).await.unwrap();
    assert_eq!(frame(&mut client).await, close);
    // Both sides answer, and the tunnel ends.
    client.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
    upstream.write_all(b"\x88\x00").await.unwrap();
    assert!(with_timeout(proxy.ended).await.unwrap());
    assert!(wait_closed(&mut upstream).await);
}

#[tokio::test]
async fn the_close_frame_to_the_app_is_masked() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = TestProxy::start(listener.local_addr().unwrap()).await;
    let app = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // The library rejects unmasked frames.
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let mut got = Vec::new();
        while let Some(message) = socket.next().await {
            got.push(message.unwrap());
        }
        got
    });
    let request = format!("ws://{}/ws", proxy.address).into_client_request().unwrap();
    let (mut socket, _) = with_timeout(tokio_tungstenite::connect_async(request)).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    proxy.running.stop();
    while with_timeout(socket.next()).await.is_some_and(|message| message.is_ok()) {}
    let got = with_timeout(app).await.unwrap();
    let Some(Message::Close(Some(frame))) = got.last() else { panic!("no close: {got:?}") };
    assert_eq!(u16::from(frame.code), 1001);
}

#[tokio::test]
async fn a_side_that_does_not_answer_the_close_frame_is_closed_after_a_timeout() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let (mut client, mut upstream) = both_ends(&proxy, &app).await;
    let began = std::time::Instant::now();
    proxy.running.stop();
    assert_eq!(frame(&mut client).await.0, 0x88);
    assert_eq!(frame(&mut upstream).await.0, 0x88);
    assert!(wait_closed(&mut upstream).await);
    assert!((4..10).contains(&began.elapsed().as_secs()));
}

#[tokio::test]
async fn a_half_closed_side_still_receives_data() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let (mut client, mut upstream) = both_ends(&proxy, &app).await;
    upstream.write_all(b"\x81\x03end\x88\x00").await.unwrap();
    upstream.shutdown().await.unwrap();
    let mut got = [0; 7];
    with_timeout(client.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"\x81\x03end\x88\x00");
    client.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
    let mut answer = [0; 6];
    with_timeout(upstream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"\x88\x80\0\0\0\0");
}
