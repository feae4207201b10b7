//! A request that waits for a connection or a stream gets the one that another request
//! leaves, in whichever way it leaves it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use huggate::upstream::UpstreamSettings;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use super::get;
use crate::http2;
use crate::pool::connection_limit::on_threads;
use crate::pool::{AppBody, Http2App, proxy_for, reply};
use crate::proxy::{ScriptedApp, TestProxy, read_until, wait_closed, with_timeout};
use crate::world::{Ask, Log, raw, upgraded};

/// Far longer than a test may take: a request that is not woken fails the test.
const FOREVER: Duration = Duration::from_secs(3600);

/// One connection, which requests wait for.
fn one_connection(upstream: &mut UpstreamSettings) {
    upstream.connections = 1;
    upstream.connect_timeout = FOREVER;
    upstream.response_timeout = FOREVER;
}

/// An app of either version of HTTP that reports the paths it is asked for. `/hang` gets
/// no response, `/body` an endless one, and `/upload` one after the body.
struct App {
    url: String,
    asked: UnboundedReceiver<String>,
    _http2: Option<Http2App>,
}

impl App {
    async fn start(is_http2: bool) -> Self {
        let (asks, asked) = unbounded_channel();
        let service = move |request: http::Request<hyper::body::Incoming>| {
            let asks = asks.clone();
            async move {
                let path = request.uri().path().to_owned();
                // The test may have ended.
                let _ = asks.send(path.clone());
                match path.as_str() {
                    "/hang" => std::future::pending().await,
                    "/body" => endless(),
                    _ => {
                        let _ = request.into_body().collect().await;
                        reply("done")
                    }
                }
            }
        };
        if is_http2 {
            let app = Http2App::start(service, |builder| _ = builder.max_concurrent_streams(1)).await;
            return Self { url: app.url(), asked, _http2: Some(app) };
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                let service = hyper::service::service_fn(move |request| {
                    let answer = service(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let stream = hyper_util::rt::TokioIo::new(stream);
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service));
            }
        });
        Self { url, asked, _http2: None }
    }

    async fn expect(&mut self, path: &str) {
        assert_eq!(with_timeout(self.asked.recv()).await.as_deref(), Some(path));
    }
}

fn endless() -> Response<AppBody> {
    let first = stream::once(async { Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"first"))) });
    Response::new(StreamBody::new(first.chain(stream::pending())).boxed_unsync())
}

/// Sends a request that has to wait, and returns when it does.
async fn waiting(proxy: &TestProxy, log: &Log) -> JoinHandle<String> {
    let address = proxy.address.clone();
    let request = tokio::spawn(async move { raw(&address, &get("/next")).await });
    with_timeout(async {
        while !log.text().contains("a request waits") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    request
}

async fn served(request: JoinHandle<String>) {
    let answer = with_timeout(request).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("done"), "{answer}");
}

/// A request for `path` over HTTP/1.1; dropped, it is aborted.
async fn http1_request(proxy: &TestProxy, path: &str) -> TcpStream {
    let request = match path {
        "/upload" => {
            "POST /upload HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n".into()
        }
        path => format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"),
    };
    proxy.open(request.as_bytes()).await
}

#[tokio::test]
async fn what_a_client_of_http1_aborts_is_left_to_the_request_that_waits() {
    for is_http2 in [true, false] {
        for path in ["/hang", "/body", "/upload"] {
            let mut app = App::start(is_http2).await;
            let proxy = proxy_for(&[app.url.clone()], one_connection).await;
            let log = Log::start();
            let mut first = http1_request(&proxy, path).await;
            app.expect(path).await;
            if path == "/body" {
                read_until(&mut first, "first").await;
            }
            let next = waiting(&proxy, &log).await;
            drop(first);
            app.expect("/next").await;
            served(next).await;
        }
    }
}

#[tokio::test]
async fn what_a_client_of_http2_aborts_is_left_to_the_request_that_waits() {
    for is_http2 in [true, false] {
        for path in ["/hang", "/body", "/upload"] {
            let mut app = App::start(is_http2).await;
            let proxy = proxy_for(&[app.url.clone()], one_connection).await;
            let log = Log::start();
            let stream = TcpStream::connect(&proxy.address).await.unwrap();
            let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
            tokio::spawn(async move {
                // Errors show in the requests.
                let _ = connection.await;
            });
            let method = if path == "/upload" { "POST" } else { "GET" };
            let request = http::Request::builder().method(method).uri(format!("http://x{path}"));
            let (response, mut body) =
                sender.send_request(request.body(()).unwrap(), path != "/upload").unwrap();
            if path == "/upload" {
                body.send_data(Bytes::from_static(b"hello"), false).unwrap();
            }
            app.expect(path).await;
            let response =
                if path == "/body" { Err(with_timeout(response).await.unwrap()) } else { Ok(response) };
            let next = waiting(&proxy, &log).await;
            body.send_reset(h2::Reason::CANCEL);
            app.expect("/next").await;
            served(next).await;
            // The connection of the client is still there.
            drop((response, sender));
        }
    }
}

#[tokio::test]
async fn what_the_gate_closes_is_left_to_the_request_that_waits() {
    for is_http2 in [true, false] {
        let mut app = App::start(is_http2).await;
        let proxy = proxy_for(&[app.url.clone()], |upstream| {
            one_connection(upstream);
            upstream.stream_timeout = Duration::from_millis(300);
        })
        .await;
        let log = Log::start();
        let mut client = http2::connect(&proxy.address).await;
        let first = http2::ask(&mut client, http2::get("/body")).await;
        app.expect("/body").await;
        let next = waiting(&proxy, &log).await;
        app.expect("/next").await;
        served(next).await;
        drop(first);
    }
}

#[tokio::test]
async fn requests_that_wait_are_served_one_after_the_other() {
    for is_http2 in [true, false] {
        let mut app = App::start(is_http2).await;
        let proxy = proxy_for(&[app.url.clone()], one_connection).await;
        let log = Log::start();
        let first = http1_request(&proxy, "/hang").await;
        app.expect("/hang").await;
        let mut next = Vec::new();
        for _ in 0..20 {
            next.push(waiting(&proxy, &log).await);
        }
        // Some of those that wait leave, also one that has just been woken.
        for request in next.drain(..7) {
            request.abort();
        }
        drop(first);
        for request in next {
            served(request).await;
        }
    }
}

#[tokio::test]
async fn the_connection_of_a_websocket_that_ends_is_left_to_the_request_that_waits() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], one_connection).await;
    let log = Log::start();
    let host = proxy.address.clone();
    let tunnel = tokio::spawn(async move { upgraded(&host, Ask::websocket("/ws").with("host", "x")).await });
    let (mut upstream, _) = app.request().await;
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    upstream.write_all(switch).await.unwrap();
    let tunnel = with_timeout(tunnel).await.unwrap();
    let next = waiting(&proxy, &log).await;
    drop(tunnel);
    assert!(wait_closed(&mut upstream).await);
    drop(upstream);
    let (mut upstream, request) = app.request().await;
    assert!(request.starts_with("GET /next "), "{request}");
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone").await.unwrap();
    served(next).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_wait_for_a_new_connection_get_a_stream_of_it() {
    // The app answers only when the requests of all threads have arrived.
    let threads = 4;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&accepted);
    tokio::spawn(async move {
        let all = Arc::new(Barrier::new(threads));
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let all = Arc::clone(&all);
                    tokio::spawn(async move {
                        all.wait().await;
                        respond.send_response(Response::new(()), true).unwrap();
                    });
                }
            });
        }
    });
    let fronts = on_threads(address, threads, |upstream| {
        one_connection(upstream);
        upstream.default = crate::pool::target(&[format!("h2c://{address}")]);
    })
    .await;
    let request = get("/");
    let answers = with_timeout(join_all(fronts.iter().map(|front| raw(front, &request)))).await;
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200")), "{answers:?}");
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}
