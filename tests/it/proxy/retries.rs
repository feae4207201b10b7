//! Connection reuse, retries, and apps that do not answer.

use std::sync::atomic::Ordering;
use std::time::Duration;

use huggate::Route;
use huggate::upstream::UpstreamUrl;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{ScriptedApp, TestProxy, echo_app, read_head, read_until};
use crate::world::{self, Ask, Front, SECRET, World, raw};

#[tokio::test]
async fn connections_are_reused() {
    let (app, connections) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    for number in 0..10 {
        let request = format!("GET /{number} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = raw(&proxy.address, request.as_bytes()).await;
        assert!(answer.contains(&format!("GET /{number} ")), "{answer}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn only_an_idempotent_request_is_retried_after_a_reused_connection_breaks() {
    for (method, status) in [("GET", "200"), ("POST", "502")] {
        let (app, address) = ScriptedApp::start().await;
        let proxy = TestProxy::start(address).await;
        let mut client = proxy.open(b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let (mut kept, _) = app.request().await;
        kept.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        read_until(&mut client, "\r\n\r\nok").await;
        // Idle for long enough to count as possibly stale.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let length = if method == "POST" { "content-length: 2\r\n" } else { "" };
        let body = if method == "POST" { "hi" } else { "" };
        client
            .write_all(format!("{method} /second HTTP/1.1\r\nhost: x\r\n{length}\r\n{body}").as_bytes())
            .await
            .unwrap();
        // The app reads the request and closes the connection without a response.
        assert!(read_head(&mut kept).await.starts_with(&format!("{method} /second")));
        drop(kept);
        if method == "GET" {
            let (mut fresh, request) = app.request().await;
            assert!(request.starts_with("GET /second"), "{request}");
            fresh.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        }
        let answer = read_head(&mut client).await;
        assert!(answer.contains(status), "{method}: {answer}");
        if method == "POST" {
            let again = tokio::time::timeout(Duration::from_millis(300), app.request()).await;
            assert!(again.is_err(), "it was sent twice");
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_app_has_closed_is_not_reused() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = proxy.open(b"GET /first HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut kept, _) = app.request().await;
    kept.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    read_until(&mut client, "\r\n\r\nok").await;
    drop(kept);
    tokio::time::sleep(Duration::from_millis(50)).await;
    // A POST, which is not retried once it was sent.
    client.write_all(b"POST /second HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi").await.unwrap();
    let (mut fresh, request) = app.request().await;
    assert!(request.starts_with("POST /second"), "{request}");
    fresh.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_dead_app_is_502_and_a_slow_one_504_as_page_and_as_json() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let dead = TestProxy::start(nobody).await;
    let (_app, address) = ScriptedApp::start().await;
    let slow = TestProxy::start_with(
        address,
        |upstream| upstream.response_timeout = Duration::from_millis(200),
        |_| {},
    )
    .await;
    for (proxy, status, code, words) in [
        (&dead, "502", "upstream_down", "The app does not answer"),
        (&slow, "504", "upstream_timeout", "The app takes too long"),
    ] {
        let answer = raw(&proxy.address, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(code), "{answer}");
        let page = raw(
            &proxy.address,
            b"GET / HTTP/1.1\r\nhost: x\r\naccept: text/html\r\nconnection: close\r\n\r\n",
        )
        .await;
        assert!(page.contains(words) && page.contains("no-store"), "{page}");
        for address in [nobody.to_string(), address.to_string()] {
            assert!(
                !page.contains(&address) && !answer.contains(&address),
                "an internal address shows: {page}"
            );
        }
    }
}

#[tokio::test]
async fn an_upload_that_makes_progress_may_exceed_the_response_timeout() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start_with(
        address,
        |upstream| upstream.response_timeout = Duration::from_millis(400),
        |_| {},
    )
    .await;
    let mut client = proxy.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    for _ in 0..10 {
        client.write_all(b"x").await.unwrap();
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn each_route_has_its_own_app() {
    let (one, _) = echo_app().await;
    let (other, _) = echo_app().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let route = |path: &str| Route::public(path);
    let gate = huggate::Gate::builder()
        .public_url(format!("http://{address}"))
        .issuer("http://127.0.0.1:1")
        .public_client("nobody")
        .secret(SECRET)
        .allow_anyone()
        .route(route("/other/**"))
        .route(route("/**"))
        .build()
        .await
        .unwrap();
    let url = |addr| UpstreamUrl::parse(&format!("http://{addr}")).unwrap();
    let mut settings = world::upstream(url(one));
    settings.routes = vec![Some(url(other).into()), None];
    let _running = world::proxy(&gate, &settings, world::server(), listener);
    for (path, app) in [("/other/x", other), ("/other", other), ("/others", one), ("/", one)] {
        // An HTTP/1.0 request without `Host` gets the app's.
        let answer = raw(&address, format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await;
        assert!(answer.contains(&format!("host: {app}\r\n")), "{path}: {answer}");
    }
}

#[tokio::test]
async fn refused_requests_open_no_connection_to_the_app() {
    let world = World::of_acme(Front::Proxy).await;
    world.send(Ask::get("/")).await.expect(401);
    world.send(Ask::navigation("/")).await.expect(302);
    world.signed_in("dan").await.fetch("/").await.expect(403);
    assert_eq!(world.app.calls(), 0);
}
