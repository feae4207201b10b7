//! `Gate::drain`: the streams behind the layer end, so that a graceful shutdown completes.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::BodyExt;
use huggate::gate::Drained;
use huggate::{Gate, Grant, Route, Rule};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;

use crate::http2;
use crate::proxy::with_timeout;
use crate::world::{Ask, FRONTS, World, begin, raw, send, upgraded};

/// A gate for members of acme, with a public `/public/**`.
async fn world() -> World {
    World::start(FRONTS[0], |gate| gate.allow(Rule::org("acme")).route(Route::public("/public/**"))).await
}

/// A response that has begun, and ends once `rest` has a permit.
fn stream_of(content_type: &'static str, rest: Arc<Semaphore>) -> Response {
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"first ")) });
    let rest = stream::once(async move {
        rest.acquire().await.unwrap().forget();
        Ok(Bytes::from_static(b"rest"))
    });
    ([("content-type", content_type)], Body::from_stream(first.chain(rest))).into_response()
}

/// Closes the socket when its grant ends, and says why.
async fn hold(mut socket: WebSocket, grant: Grant, gate: Gate) {
    grant.ended().await;
    let code = if gate.is_draining() { 1001 } else { 1008 };
    let frame = CloseFrame { code, reason: "".into() };
    socket.send(Message::Close(Some(frame))).await.unwrap();
}

/// An app behind the layer; its finite responses end when `rest` has permits.
fn router(gate: &Gate, rest: &Arc<Semaphore>) -> Router {
    let never = Arc::new(Semaphore::new(0));
    let events = {
        let never = Arc::clone(&never);
        move || async move { stream_of("text/event-stream", never) }
    };
    let firehose = || async {
        let events = stream::repeat_with(|| Ok::<_, Infallible>("data: x\n\n"));
        ([("content-type", "text/event-stream")], Body::from_stream(events))
    };
    let download = {
        let rest = Arc::clone(rest);
        move || async move { stream_of("application/octet-stream", rest) }
    };
    let answer = {
        let rest = Arc::clone(rest);
        move || async move { stream_of("text/event-stream", rest) }
    };
    let of_gate = gate.clone();
    let websocket = move |upgrade: WebSocketUpgrade, grant: Grant| async move {
        upgrade.on_upgrade(move |socket| hold(socket, grant, of_gate))
    };
    let admin = Router::new().route("/events", get(events.clone())).layer(gate.require(Rule::user("ada")));
    Router::new()
        .route("/events", get(events.clone()))
        .route("/public/events", get(events))
        .route("/firehose", get(firehose))
        .route("/download", get(download))
        .route("/answer", post(answer))
        .route("/ws", get(websocket))
        .nest("/admin", admin)
        .layer(gate.layer())
}

/// An axum server that shuts down gracefully.
struct Graceful {
    address: String,
    host: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<io::Result<()>>,
}

impl Graceful {
    /// At the signal, it calls `drain`.
    async fn start(world: &World, router: Router, drain: impl FnOnce(&Gate) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let gate = world.gate.clone();
        let signal = async move {
            stopped.await.unwrap();
            drain(&gate);
        };
        let server = axum::serve(listener, router).with_graceful_shutdown(signal).into_future();
        Self { address, host: world.address.clone(), stop, ended: tokio::spawn(server) }
    }

    /// A response whose first bytes have come.
    async fn open(&self, ask: Ask, cookie: &str) -> Incoming {
        let mut body = begin(&self.address, ask.with("cookie", cookie).or_host(&self.host)).await.into_body();
        let first = with_timeout(body.frame()).await.unwrap().unwrap().into_data().unwrap();
        assert!(!first.is_empty());
        body
    }

    /// Sends the signal, and waits until the server returns.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        with_timeout(self.ended).await.unwrap().unwrap();
    }
}

/// Reads to the end; an error where the response was cut.
async fn rest_of(body: Incoming) -> Result<Bytes, hyper::Error> {
    with_timeout(body.collect()).await.map(|body| body.to_bytes())
}

#[tokio::test]
async fn event_streams_end_at_once_so_that_the_server_returns() {
    let world = world().await;
    let cookie = world.signed_in("ada").await.cookie_line();
    let router = router(&world.gate, &Arc::new(Semaphore::new(0)));
    // The grace is longer than the test waits.
    let server = Graceful::start(&world, router, |gate| gate.drain_within(Duration::from_secs(3_600))).await;
    let mut open = Vec::new();
    for (path, cookie) in [
        ("/events", cookie.as_str()),
        ("/public/events", ""),
        ("/admin/events", &cookie),
        // This one never waits for the app.
        ("/firehose", &cookie),
    ] {
        open.push(server.open(Ask::get(path), cookie).await);
    }
    server.stop.send(()).unwrap();
    for body in open {
        assert!(rest_of(body).await.is_err(), "the stream looks complete");
    }
    with_timeout(server.ended).await.unwrap().unwrap();
    world.send(Ask::get("/oauth2/readyz")).await.expect(503);
    assert!(world.gate.is_draining());
}

#[tokio::test]
async fn what_has_an_end_may_finish_and_is_cut_after_the_grace() {
    for grace in [Duration::from_secs(3_600), Duration::from_millis(50)] {
        let world = world().await;
        let cookie = world.signed_in("ada").await.cookie_line();
        let rest = Arc::new(Semaphore::new(0));
        let server =
            Graceful::start(&world, router(&world.gate, &rest), move |gate| gate.drain_within(grace)).await;
        let download = server.open(Ask::get("/download"), &cookie).await;
        let answer = server.open(Ask::get("/answer").method("POST"), &cookie).await;
        server.stop.send(()).unwrap();
        if grace > Duration::from_secs(1) {
            while !world.gate.is_draining() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            rest.add_permits(2);
            assert_eq!(rest_of(download).await.unwrap(), "rest");
            assert_eq!(rest_of(answer).await.unwrap(), "rest");
        } else {
            assert!(rest_of(download).await.is_err(), "the download looks complete");
            assert!(rest_of(answer).await.is_err(), "the answer looks complete");
        }
        with_timeout(server.ended).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_begins_during_the_drain_ends_as_well() {
    let world = world().await;
    let cookie = world.signed_in("ada").await.cookie_line();
    let router = router(&world.gate, &Arc::new(Semaphore::new(0)));
    let server = Graceful::start(&world, router, |_| {}).await;
    world.gate.drain();
    for (path, cookie) in [("/events", cookie.as_str()), ("/public/events", "")] {
        let ask = format!("GET {path} HTTP/1.1\r\nhost: {}\r\ncookie: {cookie}\r\n\r\n", server.host);
        let answer = raw(&server.address, ask.as_bytes()).await;
        assert!(!answer.ends_with("\r\n0\r\n\r\n"), "the stream looks complete: {answer}");
    }
    // Other requests are answered as before.
    let ask = Ask::get("/oauth2/userinfo").with("cookie", &cookie);
    send(&server.address, ask.or_host(&server.host)).await.expect(200);
    server.stop().await;
}

#[tokio::test]
async fn a_websocket_of_the_app_learns_of_the_drain_by_its_grant() {
    let world = world().await;
    let cookie = world.signed_in("ada").await.cookie_line();
    let router = router(&world.gate, &Arc::new(Semaphore::new(0)));
    let server = Graceful::start(&world, router, Gate::drain).await;
    let ask = Ask::websocket("/ws").with("cookie", &cookie).or_host(&server.host);
    let stream = upgraded(&server.address, ask).await;
    let role = tungstenite::protocol::Role::Client;
    let mut socket = WebSocketStream::from_raw_socket(stream, role, None).await;
    server.stop().await;
    let message = with_timeout(socket.next()).await.unwrap().unwrap();
    let tungstenite::Message::Close(Some(frame)) = message else { panic!("{message:?}") };
    assert_eq!(u16::from(frame.code), 1001);
}

#[tokio::test]
async fn over_http2_a_stream_is_reset_with_cancel() {
    let world = world().await;
    let cookie = world.signed_in("ada").await.cookie_line();
    let router = router(&world.gate, &Arc::new(Semaphore::new(0)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service = hyper_util::service::TowerToHyperService::new(router);
        hyper::server::conn::http2::Builder::new(hyper_util::rt::TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), service)
            .await
    });
    let mut sender = http2::connect(&address).await;
    let mut ask = http2::get("/events");
    *ask.uri_mut() = format!("http://{}/events", world.address).parse().unwrap();
    ask.headers_mut().insert("cookie", cookie.parse().unwrap());
    let mut body = http2::ask(&mut sender, ask).await.into_body();
    assert_eq!(with_timeout(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "first ");
    world.gate.drain();
    let error = with_timeout(body.frame()).await.unwrap().unwrap_err();
    let reset = std::error::Error::source(&error).unwrap().downcast_ref::<h2::Error>().unwrap();
    assert_eq!(reset.reason(), Some(h2::Reason::CANCEL));
}

#[tokio::test]
async fn the_body_ends_with_an_error_that_says_so() {
    use http_body_util::Empty;
    use tower::ServiceExt;
    let world = world().await;
    let router = router(&world.gate, &Arc::new(Semaphore::new(0)));
    let ask = http::Request::get("/public/events").header("host", &world.address);
    let response = router.oneshot(ask.body(Body::new(Empty::new())).unwrap()).await.unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    world.gate.drain();
    let error = with_timeout(body.frame()).await.unwrap().unwrap_err();
    let mut error: &(dyn std::error::Error + 'static) = &error;
    while error.downcast_ref::<Drained>().is_none() {
        error = error.source().expect("Drained is among the sources");
    }
    assert_eq!(error.to_string(), "the server shuts down");
}
