//! WebSockets: tunnelled as they are, and closed when the session ends.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::{ByHand, Stand, head, patiently};
use crate::world::{Ask, Front, World, raw, upgraded};

/// An app that echoes messages, takes the subprotocol `chat`, and closes with a
/// code of its own when it is told to.
async fn echoing() -> std::net::SocketAddr {
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
async fn messages_subprotocol_and_close_code_pass() {
    let stand = Stand::before(echoing().await).await;
    let mut request = format!("ws://{}/ws", stand.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "chat".parse().unwrap());
    let (mut socket, response) = patiently(tokio_tungstenite::connect_async(request)).await.unwrap();
    assert_eq!(response.headers()["sec-websocket-protocol"], "chat");
    for number in 0..100 {
        socket.send(Message::text(format!("message {number}"))).await.unwrap();
    }
    for number in 0..100 {
        let message = patiently(socket.next()).await.unwrap().unwrap();
        assert_eq!(message.to_text().unwrap(), format!("message {number}"));
    }
    let large = vec![7; 1024 * 1024];
    socket.send(Message::binary(large.clone())).await.unwrap();
    assert_eq!(patiently(socket.next()).await.unwrap().unwrap().into_data(), large);
    socket.send(Message::text("close")).await.unwrap();
    let Message::Close(Some(frame)) = patiently(socket.next()).await.unwrap().unwrap() else {
        panic!("no close")
    };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4321, "as you wish"));
}

#[tokio::test]
async fn a_refused_upgrade_stays_http() {
    // Threats 2: a failed upgrade leaves a raw tunnel.
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let mut client = stand
        .open(b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\nx-forwarded-user: root\r\n\r\n")
        .await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await.unwrap();
    assert!(head(&mut client).await.starts_with("HTTP/1.1 403"));
    // What came after the handshake is a request like any other: judged, stripped.
    let next = patiently(async {
        tokio::select! {
            next = head(&mut upstream) => next,
            (_, next) = app.request() => next,
        }
    })
    .await;
    assert!(next.starts_with("GET /smuggled") && !next.contains("root"), "{next}");
}

#[tokio::test]
async fn a_tunnel_ends_with_the_session() {
    let world = World::of_acme(Front::Proxy).await;
    let mut ada = world.signed_in("ada").await;
    let ask = Ask::websocket("/ws").with("host", &world.address).with("cookie", &ada.cookie_line());
    let mut tunnel = patiently(upgraded(&world.address, ask.with("origin", &world.public_url))).await;
    // A text frame, masked with zeros, and the echo of it.
    let frame = *b"\x81\x85\0\0\0\0hello";
    tunnel.write_all(&frame).await.unwrap();
    let mut echo = frame;
    patiently(tunnel.read_exact(&mut echo)).await.unwrap();
    ada.open("/oauth2/sign_out").await.expect(200);
    let mut close = [0; 4];
    patiently(tunnel.read_exact(&mut close)).await.unwrap();
    assert_eq!(close, [0x88, 2 + b"the session has ended".len() as u8, 0x03, 0xf0], "not a close with 1008");
    // Our answer, and both are done.
    tunnel.write_all(b"\x88\x82\0\0\0\0\x03\xf0").await.unwrap();
    let mut rest = Vec::new();
    patiently(tunnel.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"the session has ended", "nothing may follow a close");
}

#[tokio::test]
async fn a_tunnel_is_asked_for_like_anything_else() {
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
async fn tunnels_are_closed_when_the_process_ends() {
    let stand = Stand::before(echoing().await).await;
    let request = format!("ws://{}/ws", stand.address).into_client_request().unwrap();
    let (mut socket, _) = patiently(tokio_tungstenite::connect_async(request)).await.unwrap();
    stand.running.stop.cancel();
    let Message::Close(Some(frame)) = patiently(socket.next()).await.unwrap().unwrap() else {
        panic!("no close")
    };
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1001, "the server is going away"));
    assert!(patiently(socket.next()).await.is_none());
    assert!(patiently(stand.ended).await.unwrap(), "the drain took all of its time");
}

#[tokio::test]
async fn many_tunnels_leave_requests_alone() {
    let stand = Stand::before(echoing().await).await;
    let mut sockets = Vec::new();
    for _ in 0..50 {
        let request = format!("ws://{}/ws", stand.address).into_client_request().unwrap();
        sockets.push(patiently(tokio_tungstenite::connect_async(request)).await.unwrap().0);
    }
    let health = raw(&stand.address, b"GET /oauth2/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let health = tokio::time::timeout(Duration::from_secs(5), health).await.unwrap();
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
}
