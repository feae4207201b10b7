//! WebSockets: tunnelled as they are, and closed when the session ends.

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

use super::{ByHand, Stand, closed, head, patiently};
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

/// A tunnel whose two ends a test holds: the client's, and the app's.
async fn both_ends(stand: &Stand, app: &ByHand) -> (TokioIo<Upgraded>, TcpStream) {
    let host = stand.address.clone();
    let tunnel = tokio::spawn(async move { upgraded(&host, Ask::websocket("/ws").with("host", "x")).await });
    let (mut upstream, _) = app.request().await;
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    upstream.write_all(switch).await.unwrap();
    (patiently(tunnel).await.unwrap(), upstream)
}

/// The next frame with a short payload, unmasked: its first byte, and the payload.
async fn frame(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let [first, second] =
        patiently(async { [stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap()] }).await;
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        patiently(stream.read_exact(&mut mask)).await.unwrap();
    }
    let mut payload = vec![0; usize::from(second & 0x7f)];
    patiently(stream.read_exact(&mut payload)).await.unwrap();
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    (first, payload)
}

#[tokio::test]
async fn both_sides_are_told_at_the_end_of_the_frame_under_way() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let (mut client, mut upstream) = both_ends(&stand, &app).await;
    // Half a frame each way.
    client.write_all(b"\x81\x85\0\0\0\0he").await.unwrap();
    upstream.write_all(b"\x82\x7e\x00\x80").await.unwrap();
    let mut half = [0; 8];
    patiently(upstream.read_exact(&mut half)).await.unwrap();
    patiently(client.read_exact(&mut half[..4])).await.unwrap();
    stand.running.stop.cancel();
    // Neither is cut in the middle, and what follows the frame does not pass.
    client.write_all(b"llo\x81\x83\0\0\0\0not").await.unwrap();
    upstream.write_all(&[b'x'; 0x80]).await.unwrap();
    upstream.write_all(b"\x81\x03not").await.unwrap();
    let mut rest = [0; 3];
    patiently(upstream.read_exact(&mut rest)).await.unwrap();
    assert_eq!(&rest, b"llo");
    let close = (0x88, [&1001_u16.to_be_bytes()[..], b"the server is going away"].concat());
    assert_eq!(frame(&mut upstream).await, close);
    let mut payload = [0; 0x80];
    patiently(client.read_exact(&mut payload)).await.unwrap();
    assert_eq!(frame(&mut client).await, close);
    // Both answer, and it is over.
    client.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
    upstream.write_all(b"\x88\x00").await.unwrap();
    assert!(patiently(stand.ended).await.unwrap());
    assert!(closed(&mut upstream).await);
}

#[tokio::test]
async fn what_the_app_gets_of_it_is_a_masked_close_frame_like_any_clients() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stand = Stand::before(listener.local_addr().unwrap()).await;
    let app = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // The library refuses frames that are not masked.
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let mut got = Vec::new();
        while let Some(message) = socket.next().await {
            got.push(message.unwrap());
        }
        got
    });
    let request = format!("ws://{}/ws", stand.address).into_client_request().unwrap();
    let (mut socket, _) = patiently(tokio_tungstenite::connect_async(request)).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    stand.running.stop.cancel();
    while patiently(socket.next()).await.is_some_and(|message| message.is_ok()) {}
    let got = patiently(app).await.unwrap();
    let Some(Message::Close(Some(frame))) = got.last() else { panic!("no close: {got:?}") };
    assert_eq!(u16::from(frame.code), 1001);
}

#[tokio::test]
async fn who_does_not_answer_a_close_is_left_after_a_while() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let (mut client, mut upstream) = both_ends(&stand, &app).await;
    let began = std::time::Instant::now();
    stand.running.stop.cancel();
    assert_eq!(frame(&mut client).await.0, 0x88);
    assert_eq!(frame(&mut upstream).await.0, 0x88);
    assert!(closed(&mut upstream).await);
    assert!((4..10).contains(&began.elapsed().as_secs()));
}

#[tokio::test]
async fn a_side_that_is_done_sending_still_gets_the_rest() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let (mut client, mut upstream) = both_ends(&stand, &app).await;
    upstream.write_all(b"\x81\x03end\x88\x00").await.unwrap();
    upstream.shutdown().await.unwrap();
    let mut got = [0; 7];
    patiently(client.read_exact(&mut got)).await.unwrap();
    assert_eq!(&got, b"\x81\x03end\x88\x00");
    client.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
    let mut answer = [0; 6];
    patiently(upstream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"\x88\x80\0\0\0\0");
}
