//! The head of the app's response: how long it may be, and what an invalid one means.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::{canned_app, get};
use crate::http2;
use crate::pool::{AppBody, Http2App, proxy_for};
use crate::proxy::{TestProxy, with_timeout};
use crate::world::{Ask, Log, begin, raw};

/// A response with `count` lines, each of which `line` makes.
fn many(count: usize, line: impl Fn(usize) -> String) -> String {
    let lines: String = (0..count).map(line).collect();
    format!("HTTP/1.1 200 OK\r\n{lines}content-length: 2\r\n\r\nok")
}

fn link(number: usize) -> String {
    format!("Link: </asset-{number}.js>; rel=preload\r\n")
}

fn cookie(number: usize) -> String {
    format!("Set-Cookie: c{number}=v; Path=/\r\n")
}

/// The same as a response of an HTTP/2 app.
fn many_links(count: usize) -> Response<AppBody> {
    let mut response = Response::new(Full::new(Bytes::from("ok")).boxed_unsync());
    for number in 0..count {
        let value = format!("</asset-{number}.js>; rel=preload");
        response.headers_mut().append("link", value.parse().unwrap());
    }
    response
}

/// An HTTP/2 client that takes long heads.
async fn http2_client(address: &str) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.max_header_list_size(1024 * 1024).handshake(stream).await.unwrap();
    tokio::spawn(async move {
        // Errors show in the requests.
        let _ = connection.await;
    });
    sender
}

/// The status and the number of lines `name` for a client of HTTP/2.
async fn over_http2(proxy: &TestProxy, name: &str) -> (u16, usize) {
    let mut client = http2_client(&proxy.address).await;
    let response = http2::ask(&mut client, http2::get("/")).await;
    let lines = response.headers().get_all(name).iter().count();
    (response.status().as_u16(), lines)
}

/// The same for a client of HTTP/1.1 without a limit of its own.
async fn over_http1(proxy: &TestProxy, name: &str) -> (u16, usize) {
    let answer = raw(&proxy.address, &get("/")).await;
    let head = answer.split("\r\n\r\n").next().unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let start = format!("{name}: ");
    (status, head.lines().filter(|line| line.starts_with(&start)).count())
}

#[tokio::test]
async fn a_response_with_many_lines_of_one_name_is_passed_on_whole() {
    for (name, count, response) in [
        ("link", 150, many(150, link)),
        ("set-cookie", 120, many(120, cookie)),
        ("link", 500, many(500, link)),
    ] {
        let (app, _) = canned_app(response).await;
        let proxy = proxy_for(&[format!("http://{app}")], |_| {}).await;
        assert_eq!(over_http1(&proxy, name).await, (200, count));
        assert_eq!(over_http2(&proxy, name).await, (200, count));
    }
}

#[tokio::test]
async fn an_http2_app_may_send_as_many_lines() {
    for count in [150, 500] {
        let app = Http2App::start(move |_| async move { many_links(count) }, |_| {}).await;
        let proxy = proxy_for(&[app.url()], |_| {}).await;
        assert_eq!(over_http1(&proxy, "link").await, (200, count));
        assert_eq!(over_http2(&proxy, "link").await, (200, count));
    }
}

#[tokio::test]
async fn one_line_may_have_200_kilobytes() {
    let long = "a".repeat(200_000);
    let (app, _) = canned_app(format!("HTTP/1.1 204 No Content\r\nx-long: {long}\r\n\r\n")).await;
    let value = long.clone();
    let http2_app = Http2App::start(
        move |_| {
            let value = HeaderValue::from_str(&value).unwrap();
            async move {
                let mut response = Response::new(Full::default().boxed_unsync());
                response.headers_mut().insert("x-long", value);
                response
            }
        },
        |_| {},
    )
    .await;
    for url in [format!("http://{app}"), http2_app.url()] {
        let proxy = proxy_for(&[url], |_| {}).await;
        assert!(raw(&proxy.address, &get("/")).await.contains(&format!("x-long: {long}\r\n")));
        let mut client = http2_client(&proxy.address).await;
        let response = http2::ask(&mut client, http2::get("/")).await;
        assert_eq!(response.headers()["x-long"], long);
    }
}

#[tokio::test]
async fn many_lines_may_come_before_the_response_and_after_its_body() {
    let early: String = (0..150).map(link).collect();
    let trailers: String = (0..150).map(|number| format!("x-{number}: y\r\n")).collect();
    let names: Vec<String> = (0..150).map(|number| format!("x-{number}")).collect();
    let response = format!(
        "HTTP/1.1 103 Early Hints\r\n{early}\r\n\
         HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: {}\r\n\r\n2\r\nok\r\n0\r\n{trailers}\r\n",
        names.join(", ")
    );
    let (app, _) = canned_app(response).await;
    let all = names.clone();
    let http2_app = Http2App::start(
        move |_| {
            let trailers: HeaderMap = all
                .iter()
                .map(|name| (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_static("y")))
                .collect();
            async move {
                let frames = [Ok(Frame::data(Bytes::from("ok"))), Ok(Frame::trailers(trailers))];
                Response::new(StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync())
            }
        },
        |_| {},
    )
    .await;
    for url in [format!("http://{app}"), http2_app.url()] {
        let proxy = proxy_for(&[url], |_| {}).await;
        let mut client = http2::connect(&proxy.address).await;
        let response = http2::ask(&mut client, http2::get("/")).await;
        assert_eq!(response.status(), 200);
        let body = with_timeout(response.into_body().collect()).await.unwrap();
        assert_eq!(body.trailers().map(HeaderMap::len), Some(150));
        assert_eq!(body.to_bytes(), "ok");
    }
}

#[tokio::test]
async fn a_head_past_the_limit_is_502_and_says_so_and_the_address_stays_in_use() {
    let line = "a".repeat(1000);
    let long = move |number| format!("x-{number}: {line}\r\n");
    for response in [many(300, long), many(600, cookie)] {
        let (app, requests) = canned_app(response).await;
        let (fine, _) = canned_app(many(1, link)).await;
        let proxy = proxy_for(&[format!("http://{app}"), format!("http://{fine}")], |_| {}).await;
        let log = Log::start();
        for number in 1..=3 {
            let mut told = Vec::new();
            for _ in 0..2 {
                told.push(raw(&proxy.address, &get("/")).await);
            }
            let refused: Vec<_> = told.iter().filter(|answer| answer.starts_with("HTTP/1.1 502")).collect();
            assert_eq!(refused.len(), 1, "the addresses do not take turns: {told:?}");
            assert!(refused[0].contains("upstream_invalid") && refused[0].contains("header is too large"));
            assert_eq!(requests.load(Ordering::SeqCst), number, "asked again, or not at all");
        }
        let text = log.text();
        assert!(text.contains("longer than 262144 bytes or 512 lines"), "{text}");
        assert!(!text.contains("ejected"), "{text}");
        let page = Ask::get("/").with("host", "x").with("accept", "text/html");
        let pages = [begin(&proxy.address, page.clone()).await, begin(&proxy.address, page).await];
        let page = pages.into_iter().find(|response| response.status() == 502).unwrap();
        let page = page.into_body().collect().await.unwrap().to_bytes();
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains("too large") && !page.contains("not running"), "{page}");
    }
}

#[tokio::test]
async fn a_head_of_an_http2_app_past_the_limit_is_502_and_its_connection_is_kept() {
    let app = Http2App::start(
        |request| async move {
            let count = if request.uri().path() == "/long" { 8000 } else { 1 };
            many_links(count)
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url(), app.url()], |_| {}).await;
    let log = Log::start();
    for _ in 0..3 {
        let answer = raw(&proxy.address, &get("/long")).await;
        assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("upstream_invalid"), "{answer}");
        assert!(raw(&proxy.address, &get("/")).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(app.connections(), 1);
    let text = log.text();
    assert!(text.contains("longer than 262144 bytes") && !text.contains("ejected"), "{text}");
}

#[tokio::test]
async fn an_invalid_head_is_502_and_says_so_and_the_address_stays_in_use() {
    for line in ["X-Bad: a\0b", "no colon", "X Y: z", "Content-Length: 2, 3", ": x", "X-Bad: a\rb"] {
        let (app, requests) = canned_app(format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\nok")).await;
        let (fine, _) = canned_app(many(1, link)).await;
        let proxy = proxy_for(&[format!("http://{app}"), format!("http://{fine}")], |_| {}).await;
        let log = Log::start();
        // Not idempotent, so it is sent once.
        let post = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        for _ in 0..6 {
            let answer = raw(&proxy.address, post).await;
            let refused = answer.starts_with("HTTP/1.1 502") && answer.contains("upstream_invalid");
            assert!(refused || answer.starts_with("HTTP/1.1 200"), "{line:?}: {answer}");
        }
        assert_eq!(requests.load(Ordering::SeqCst), 3, "{line:?}");
        let text = log.text();
        assert!(text.contains("header is invalid") && !text.contains("ejected"), "{line:?}: {text}");
    }
}
