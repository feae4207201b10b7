//! Attacks on the data plane, each of which once succeeded or was close to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};

use crate::pool::{Http2App, proxy_for, reply};
use crate::proxy::{ScriptedApp, TestProxy, echo_app, read_head, read_until, wait_closed, with_timeout};
use crate::world::raw;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// An HTTP/2 client that controls each frame, with this initial window.
async fn h2_client(address: &str, window: u32) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (client, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn conflicting_lengths_over_http2_are_rejected_or_merged() {
    for (method, lengths, body) in [
        ("POST", ["0", "45"], ""),
        ("GET", ["0", "45"], ""),
        ("GET", ["5", "0"], "12345"),
        ("POST", ["5", "0"], "12345"),
        ("POST", ["5", "abc"], "12345"),
    ] {
        let (app, address) = ScriptedApp::start().await;
        let proxy = TestProxy::start(address).await;
        let mut client = with_timeout(h2_client(&proxy.address, 65_535).await.ready()).await.unwrap();
        let mut request = Request::builder().method(method).uri("http://gate.example/x");
        for length in lengths {
            request = request.header("content-length", length);
        }
        let (response, mut send) = client.send_request(request.body(()).unwrap(), body.is_empty()).unwrap();
        if !body.is_empty() {
            send.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
        }
        tokio::select! {
            response = response => {
                // Reset, or rejected.
                let status = response.map(|response| response.status().as_u16());
                assert!(status.as_ref().map_or(true, |status| *status == 400), "{method} {lengths:?}: {status:?}");
            }
            (_, head) = app.request() => {
                let count = head.matches("content-length").count() + head.matches("transfer-encoding").count();
                assert!(count <= 1, "{method} {lengths:?}: {head}");
            }
        }
    }
}

#[tokio::test]
async fn an_unfinished_upload_does_not_hold_the_connection_after_the_response() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| {
        upstream.connections = 1;
        upstream.connect_timeout = Duration::from_secs(3);
        upstream.stream_timeout = Duration::from_secs(2);
        upstream.response_timeout = Duration::from_secs(2);
    })
    .await;
    let mut client = with_timeout(h2_client(&proxy.address, 65_535).await.ready()).await.unwrap();
    let request = Request::post("http://gate.example/x").body(()).unwrap();
    let (response, mut send) = client.send_request(request, false).unwrap();
    send.send_data(Bytes::from_static(b"part"), false).unwrap();
    let (mut upstream, _) = app.request().await;
    // Like Node, the app keeps the connection open for the rest of the body.
    upstream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert_eq!(with_timeout(response).await.unwrap().status(), 404);
    // The client never finishes its request; the connection is closed and its place is free.
    assert!(wait_closed(&mut upstream).await);
    let mut other = proxy.open(b"GET /other HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let served = async {
        let (mut upstream, _) = app.request().await;
        upstream.write_all(OK).await.unwrap();
        std::future::pending::<()>().await
    };
    let answer = tokio::select! { () = served => unreachable!(), answer = read_head(&mut other) => answer };
    drop(send);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_client_with_an_empty_window_is_subject_to_the_stream_timeout() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| {
        upstream.stream_timeout = Duration::from_millis(500);
    })
    .await;
    let mut client = with_timeout(h2_client(&proxy.address, 0).await.ready()).await.unwrap();
    let request = Request::get("http://gate.example/x").body(()).unwrap();
    let (response, _send) = client.send_request(request, true).unwrap();
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\npart").await.unwrap();
    let _response = with_timeout(response).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(3), upstream.read_u8()).await;
    assert!(ended.is_ok(), "the connection to the app was not closed");
}

#[tokio::test]
async fn slow_clients_do_not_delay_the_responses_of_others() {
    let app = Http2App::start(
        |request| async move {
            let size = if request.uri().path() == "/big" { 4 << 20 } else { 100_000 };
            reply(vec![b'x'; size])
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    let mut slow = Vec::new();
    for _ in 0..12 {
        let mut client = proxy.open(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n").await;
        socket2::SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
        read_head(&mut client).await;
        slow.push(client);
    }
    // HTTP/2 clients with an empty window are even slower.
    let mut client = with_timeout(h2_client(&proxy.address, 0).await.ready()).await.unwrap();
    for _ in 0..12 {
        let request = Request::get("http://gate.example/big").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        client = with_timeout(client.ready()).await.unwrap();
        let response = with_timeout(response).await.unwrap();
        leave_unread(response);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let request = b"GET /small HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = tokio::time::timeout(Duration::from_secs(5), raw(&proxy.address, request)).await;
    assert!(answer.is_ok_and(|answer| answer.len() > 100_000), "others wait for slow clients");
}

/// Keeps a response open without reading it.
fn leave_unread(response: http::Response<h2::RecvStream>) {
    std::mem::forget(response);
}

#[tokio::test]
async fn no_host_header_ejects_an_http2_app() {
    for host in ["", "a:", "a:99999", "a_b", "[::1]", "[::1]:80", "A.", "a:0", "1.2.3.4:080"] {
        let app = Http2App::start(|_| async { reply("ok") }, |_| {}).await;
        let proxy = proxy_for(&[app.url()], |_| {}).await;
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = raw(&proxy.address, request.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 50"), "{host:?}: {answer}");
    }
}

#[tokio::test]
async fn requests_at_the_connection_limit_of_an_http2_app_get_503() {
    let arrived = Arc::new(Notify::new());
    let arrival = Arc::clone(&arrived);
    let app = Http2App::start(
        move |_| {
            arrival.notify_one();
            std::future::pending()
        },
        |builder| {
            builder.max_concurrent_streams(1);
        },
    )
    .await;
    let proxy = proxy_for(&[app.url()], |upstream| {
        upstream.connections = 1;
        upstream.connect_timeout = Duration::from_millis(500);
    })
    .await;
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let _first = proxy.open(request).await;
    with_timeout(arrived.notified()).await;
    let answers = futures_util::future::join_all((0..4).map(|_| raw(&proxy.address, request))).await;
    for answer in answers {
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
}

#[tokio::test]
async fn an_idle_connection_closed_by_the_app_does_not_eject_it() {
    // The app closes an idle connection just when a POST is sent on it.
    let (app, address) = ScriptedApp::start().await;
    let (other, count) = echo_app().await;
    let proxy = proxy_for(&[format!("http://{address}"), format!("http://{other}")], |_| {}).await;
    let mut first = proxy.open(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(OK).await.unwrap();
    read_until(&mut first, "ok").await;
    // The other endpoint's turn.
    assert!(
        raw(&proxy.address, b"GET /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.contains("/b")
    );
    let post = b"POST /c HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    let mut client = proxy.open(post).await;
    assert!(read_head(&mut upstream).await.starts_with("POST /c"));
    drop(upstream);
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 502"));
    // One of two more requests goes to the first app, unless it is ejected.
    let before = count.load(Ordering::SeqCst);
    let _a = proxy.open(b"GET /d HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let _b = proxy.open(b"GET /e HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let asked = tokio::time::timeout(Duration::from_millis(500), app.request()).await;
    assert!(asked.is_ok(), "the app was ejected; {before}");
}

#[tokio::test]
async fn an_early_response_to_an_upload_is_forwarded() {
    // 413, after which the app resets the connection, as nginx and uvicorn do.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                read_head(&mut stream).await;
                let answer = b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    let proxy = TestProxy::start(app).await;
    let mut wrong = 0;
    for _ in 0..50 {
        let mut client = proxy.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n").await;
        let (mut reading, mut writing) = client.split();
        let piece = vec![b'x'; 1 << 16];
        let mut answer = vec![0; 12];
        let read = with_timeout(async {
            tokio::select! {
                () = async { while writing.write_all(&piece).await.is_ok() {}; std::future::pending().await } => unreachable!(),
                read = reading.read_exact(&mut answer) => read,
            }
        })
        .await;
        if read.is_err() || answer != b"HTTP/1.1 413" {
            wrong += 1;
        }
    }
    assert_eq!(wrong, 0, "of 50");
}

#[tokio::test]
async fn connect_with_a_path_is_rejected_over_http1() {
    let (app, connections) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    let answer = raw(&proxy.address, b"CONNECT /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 501"), "{answer}");
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

mod websocket {
    use http_body_util::Empty;
    use hyper::client::conn::http2::handshake;
    use hyper::ext::Protocol;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    use super::*;

    async fn open(
        address: &str,
    ) -> (hyper::client::conn::http2::SendRequest<Empty<Bytes>>, Request<Empty<Bytes>>) {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let first = Request::get("http://gate.example/oauth2/healthz").body(Empty::new()).unwrap();
        with_timeout(sender.send_request(first)).await.unwrap();
        let mut request = Request::connect("http://gate.example/ws")
            .header("sec-websocket-version", "13")
            .body(Empty::new())
            .unwrap();
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        (sender, request)
    }

    #[tokio::test]
    async fn over_http2_it_keeps_the_connection_from_being_idle() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                    while let Some(Ok(message)) = futures_util::StreamExt::next(&mut socket).await {
                        if message.is_text() {
                            futures_util::SinkExt::send(&mut socket, message).await.unwrap();
                        }
                    }
                });
            }
        });
        let proxy =
            TestProxy::start_with(app, |_| {}, |server| server.idle_timeout = Duration::from_millis(400))
                .await;
        let (mut sender, request) = open(&proxy.address).await;
        let response = with_timeout(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut stream = TokioIo::new(with_timeout(hyper::upgrade::on(response)).await.unwrap());
        // No data, but far from timeouts.stream.
        let closed = tokio::time::timeout(Duration::from_millis(1_500), stream.read_u8()).await;
        assert!(closed.is_err(), "it was closed as an idle connection: {closed:?}");
    }

    #[tokio::test]
    async fn over_http2_a_response_other_than_101_opens_none() {
        let (app, address) = ScriptedApp::start().await;
        let proxy = TestProxy::start(address).await;
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ] {
            let (mut sender, request) = open(&proxy.address).await;
            let serve = async {
                let (mut upstream, _) = app.request().await;
                upstream.write_all(answer.as_bytes()).await.unwrap();
                std::future::pending::<()>().await
            };
            let response = tokio::select! {
                () = serve => unreachable!(),
                response = with_timeout(sender.send_request(request)) => response,
            };
            let status = response.map(|response| response.status().as_u16()).unwrap_or(0);
            assert!(status >= 300, "{answer:?} is a WebSocket to the client: {status}");
        }
    }
}

#[tokio::test]
async fn a_connection_with_an_incomplete_body_is_not_reused() {
    // The client disconnects during the upload.
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = proxy.open(b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\npart").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(OK).await.unwrap();
    read_until(&mut client, "ok").await;
    drop(client);
    let mut other = proxy.open(b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut second, asked) = app.request().await;
    assert!(asked.starts_with("GET /b"));
    second.write_all(OK).await.unwrap();
    read_until(&mut other, "ok").await;
    assert!(wait_closed(&mut upstream).await);
}

#[tokio::test]
async fn a_draining_http2_connection_is_replaced_at_the_limit() {
    // The app refuses a stream (RFC 9113, section 8.7) and keeps the connection open.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut refused = false;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let refuse = !std::mem::replace(&mut refused, true);
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    if refuse {
                        respond.send_reset(h2::Reason::REFUSED_STREAM);
                    } else {
                        respond.send_response(http::Response::new(()), true).unwrap();
                    }
                }
            });
        }
    });
    let proxy = proxy_for(&[url], |upstream| {
        upstream.connections = 1;
        upstream.connect_timeout = Duration::from_secs(2);
    })
    .await;
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(raw(&proxy.address, request).await.starts_with("HTTP/1.1 502"));
    let answer = raw(&proxy.address, request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// One client cancels its requests; those of others to the same app are not affected.
#[tokio::test]
async fn canceled_requests_do_not_affect_those_of_others() {
    let (arrived, released) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let (arrival, release) = (Arc::clone(&arrived), Arc::clone(&released));
    let app = Http2App::start(
        move |_| {
            arrival.notify_one();
            let release = Arc::clone(&release);
            async move {
                let _ = release.acquire().await.unwrap();
                reply("fine")
            }
        },
        |_| {},
    )
    .await;
    let proxy = proxy_for(&[app.url()], |_| {}).await;
    let mut victim =
        proxy.open(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    with_timeout(arrived.notified()).await;
    for _ in 0..5 {
        let mut client = with_timeout(h2_client(&proxy.address, 65_535).await.ready()).await.unwrap();
        for _ in 0..150 {
            let request = Request::get("http://gate.example/slow").body(()).unwrap();
            let Ok((response, mut send)) = client.send_request(request, true) else { break };
            tokio::task::yield_now().await;
            send.send_reset(h2::Reason::CANCEL);
            drop(response);
            // The connection may have been closed by then.
            let Ok(ready) = with_timeout(client.ready()).await else { break };
            client = ready;
        }
    }
    released.add_permits(1);
    let answer = read_head(&mut victim).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_response_to_head_over_http2_has_no_body() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start_with(app, |_| {}, |server| server.headers = 20).await;
    for (target, headers) in
        [("/oauth2/healthz", 0), ("/oauth2/nothing", 0), ("/oauth2/sign_in", 0), ("/", 30)]
    {
        let mut client = with_timeout(h2_client(&proxy.address, 65_535).await.ready()).await.unwrap();
        let mut request = Request::head(format!("http://gate.example{target}"));
        for number in 0..headers {
            request = request.header(format!("x-{number}"), "1");
        }
        let (response, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        let response = with_timeout(response).await.unwrap();
        let data = with_timeout(response.into_body().data()).await;
        assert!(data.is_none(), "{target}: {data:?}");
    }
}

/// The chunked body of a `GET` was once left unread.
#[tokio::test]
async fn the_chunked_body_of_a_get_is_forwarded() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = proxy
        .open(b"GET /search HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nquery\r\n0\r\n\r\n")
        .await;
    let (mut upstream, request) = app.request().await;
    assert!(request.contains("transfer-encoding: chunked\r\n"), "{request}");
    assert!(read_until(&mut upstream, "0\r\n\r\n").await.contains("query"));
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    read_until(&mut client, "\r\n\r\nok").await;
    // Both connections continue with the next request.
    client.write_all(b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let next = read_head(&mut upstream).await;
    assert!(next.starts_with("GET /next HTTP/1.1\r\n") && !next.contains("chunked"), "{next}");
}
