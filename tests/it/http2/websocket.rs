//! WebSockets over HTTP/2 (RFC 8441), to an HTTP/1.1 app.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use http_body_util::Empty;
use huggate::Rule;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::ext::Protocol;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::proxy::{TestProxy, echo_websocket_app, with_timeout};
use crate::world::{Front, World};

type Sender = SendRequest<Empty<Bytes>>;

async fn connect(address: &str) -> Sender {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    // The SETTINGS that allow extended CONNECT arrive with the first response at the
    // latest.
    let first = Request::get("http://gate.example/oauth2/healthz").body(Empty::new()).unwrap();
    with_timeout(sender.send_request(first)).await.unwrap();
    sender
}

fn websocket(address: &str, path: &str) -> Request<Empty<Bytes>> {
    let mut request = Request::connect(format!("http://{address}{path}"))
        .header("sec-websocket-version", "13")
        .body(Empty::new())
        .unwrap();
    request.extensions_mut().insert(Protocol::from_static("websocket"));
    request
}

#[tokio::test]
async fn messages_and_the_close_frame_are_forwarded() {
    let proxy = TestProxy::start(echo_websocket_app().await).await;
    let mut sender = connect(&proxy.address).await;
    let response = with_timeout(sender.send_request(websocket(&proxy.address, "/ws"))).await.unwrap();
    assert_eq!(response.status(), 200);
    for name in ["upgrade", "connection", "sec-websocket-accept", "transfer-encoding"] {
        assert!(!response.headers().contains_key(name), "{name}");
    }
    let stream = with_timeout(hyper::upgrade::on(response)).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Client, None).await;
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let message = Message::binary(vec![7; size]);
        with_timeout(socket.send(message.clone())).await.unwrap();
        assert_eq!(with_timeout(socket.next()).await.unwrap().unwrap(), message);
    }
    with_timeout(socket.close(None)).await.unwrap();
    while let Some(Ok(message)) = with_timeout(socket.next()).await {
        assert!(message.is_close(), "{message:?}");
    }
    // The HTTP/2 connection is still usable.
    let other = with_timeout(sender.send_request(websocket(&proxy.address, "/other"))).await.unwrap();
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn the_rules_apply_as_to_any_websocket() {
    let world = World::start(Front::Proxy, |gate| gate.allow(Rule::org("acme"))).await;
    let mut sender = connect(&world.address).await;
    let mut ask = async |cookie: Option<String>, origin: Option<&str>, protocol: &'static str| {
        let mut request = websocket(&world.address, "/ws");
        request.extensions_mut().insert(Protocol::from_static(protocol));
        if let Some(cookie) = cookie {
            request.headers_mut().insert("cookie", cookie.parse().unwrap());
        }
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        with_timeout(sender.send_request(request)).await.unwrap().status().as_u16()
    };
    let ada = world.signed_in("ada").await.cookie_line();
    let dan = world.signed_in("dan").await.cookie_line();
    assert_eq!(ask(None, None, "websocket").await, 401);
    assert_eq!(ask(Some(dan), None, "websocket").await, 403);
    assert_eq!(ask(Some(ada.clone()), Some("https://evil.example"), "websocket").await, 403);
    assert_eq!(ask(Some(ada.clone()), None, "connect-udp").await, 501);
    assert_eq!(ask(Some(ada.clone()), Some(&world.public_url), "websocket").await, 200);
}

#[tokio::test]
async fn it_is_closed_when_the_session_ends() {
    let world = World::start(Front::Proxy, |gate| gate.allow(Rule::org("acme"))).await;
    let mut browser = world.signed_in("ada").await;
    let mut sender = connect(&world.address).await;
    let mut request = websocket(&world.address, "/ws");
    request.headers_mut().insert("cookie", browser.cookie_line().parse().unwrap());
    let response = with_timeout(sender.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 200);
    let stream = with_timeout(hyper::upgrade::on(response)).await.unwrap();
    browser.open("/oauth2/sign_out").await;
    let mut stream = TokioIo::new(stream);
    let mut rest = Vec::new();
    let _ = with_timeout(tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest)).await;
    let again = {
        let mut request = websocket(&world.address, "/ws");
        request.headers_mut().insert("cookie", browser.cookie_line().parse().unwrap());
        with_timeout(sender.send_request(request)).await.unwrap().status()
    };
    assert_eq!(again, 401);
}

#[tokio::test]
async fn an_open_websocket_keeps_the_connection_from_being_idle() {
    let short = std::time::Duration::from_millis(200);
    let proxy =
        TestProxy::start_with(echo_websocket_app().await, |_| {}, |server| server.idle_timeout = short).await;
    let mut sender = connect(&proxy.address).await;
    let response = with_timeout(sender.send_request(websocket(&proxy.address, "/ws"))).await.unwrap();
    let stream = with_timeout(hyper::upgrade::on(response)).await.unwrap();
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(stream), Role::Client, None).await;
    tokio::time::sleep(short * 5).await;
    with_timeout(socket.send(Message::text("still here"))).await.unwrap();
    assert_eq!(with_timeout(socket.next()).await.unwrap().unwrap(), Message::text("still here"));
    // Without it the connection is idle, and is closed.
    with_timeout(socket.close(None)).await.unwrap();
    while let Some(Ok(_)) = with_timeout(socket.next()).await {}
    drop(socket);
    with_timeout(async {
        while !sender.is_closed() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    })
    .await;
}
