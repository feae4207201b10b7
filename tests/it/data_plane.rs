//! What a skilled adversary tried of the data plane, and what came of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::pool::{Http2App, stand, whole};
use crate::proxy::{ByHand, Stand, closed, head, patiently, telling, until};
use crate::world::raw;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A client of HTTP/2 that decides about every frame, with windows of this size.
async fn frames(address: &str, window: u32) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (client, connection) = builder.handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test]
async fn a_request_over_http2_has_one_length() {
    for (method, lengths, body) in [
        ("POST", ["0", "45"], ""),
        ("GET", ["0", "45"], ""),
        ("GET", ["5", "0"], "12345"),
        ("POST", ["5", "0"], "12345"),
        ("POST", ["5", "abc"], "12345"),
    ] {
        let (app, address) = ByHand::start().await;
        let stand = Stand::before(address).await;
        let mut client = patiently(frames(&stand.address, 65_535).await.ready()).await.unwrap();
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
                // Reset, or refused.
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
async fn an_upload_that_the_app_has_answered_holds_no_connection_to_it() {
    let (app, address) = ByHand::start().await;
    let stand = stand(&[format!("http://{address}")], |upstream| {
        upstream.connections = 1;
        upstream.connect_timeout = Duration::from_secs(3);
        upstream.stream_timeout = Duration::from_secs(2);
        upstream.response_timeout = Duration::from_secs(2);
    })
    .await;
    let mut client = patiently(frames(&stand.address, 65_535).await.ready()).await.unwrap();
    let request = Request::post("http://gate.example/x").body(()).unwrap();
    let (response, mut send) = client.send_request(request, false).unwrap();
    send.send_data(Bytes::from_static(b"part"), false).unwrap();
    let (mut upstream, _) = app.request().await;
    // An app that keeps the connection for the rest of the body, as Node does.
    upstream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    assert_eq!(patiently(response).await.unwrap().status(), 404);
    // The client never ends its request.
    tokio::time::sleep(Duration::from_millis(3_000)).await;
    let mut other = stand.open(b"GET /other HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let served = async {
        let (mut upstream, _) = app.request().await;
        upstream.write_all(OK).await.unwrap();
        std::future::pending::<()>().await
    };
    let answer = tokio::select! { () = served => unreachable!(), answer = head(&mut other) => answer };
    drop(send);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_client_without_a_window_holds_the_app_no_longer_than_any_other() {
    let (app, address) = ByHand::start().await;
    let stand = stand(&[format!("http://{address}")], |upstream| {
        upstream.stream_timeout = Duration::from_millis(500);
    })
    .await;
    let mut client = patiently(frames(&stand.address, 0).await.ready()).await.unwrap();
    let request = Request::get("http://gate.example/x").body(()).unwrap();
    let (response, _send) = client.send_request(request, true).unwrap();
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\npart").await.unwrap();
    let _response = patiently(response).await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(3), upstream.read_u8()).await;
    assert!(ended.is_ok(), "the app's connection is held for ever");
}

#[tokio::test]
async fn a_few_slow_readers_do_not_stop_everybody_elses_answers() {
    let app = Http2App::start(
        |request| async move {
            let size = if request.uri().path() == "/big" { 4 << 20 } else { 100_000 };
            whole(vec![b'x'; size])
        },
        |_| {},
    )
    .await;
    let stand = stand(&[app.url()], |_| {}).await;
    let mut slow = Vec::new();
    for _ in 0..12 {
        let mut client = stand.open(b"GET /big HTTP/1.1\r\nhost: x\r\n\r\n").await;
        socket2::SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
        head(&mut client).await;
        slow.push(client);
    }
    // HTTP/2 clients with an empty window are slower still.
    let mut client = patiently(frames(&stand.address, 0).await.ready()).await.unwrap();
    for _ in 0..12 {
        let request = Request::get("http://gate.example/big").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        client = patiently(client.ready()).await.unwrap();
        let response = patiently(response).await.unwrap();
        slow_responses(response);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let request = b"GET /small HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = tokio::time::timeout(Duration::from_secs(5), raw(&stand.address, request)).await;
    assert!(answer.is_ok_and(|answer| answer.len() > 100_000), "others wait for a slow reader");
}

/// Kept open, and not read.
fn slow_responses(response: http::Response<h2::RecvStream>) {
    std::mem::forget(response);
}

#[tokio::test]
async fn no_host_puts_an_app_of_http2_out() {
    for host in ["", "a:", "a:99999", "a_b", "[::1]", "[::1]:80", "A.", "a:0", "1.2.3.4:080"] {
        let app = Http2App::start(|_| async { whole("well") }, |_| {}).await;
        let stand = stand(&[app.url()], |_| {}).await;
        let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        let answer = raw(&stand.address, request.as_bytes()).await;
        assert!(!answer.starts_with("HTTP/1.1 50"), "{host:?}: {answer}");
    }
}

#[tokio::test]
async fn requests_that_wait_for_room_are_told_that_there_is_none() {
    let app = Http2App::start(
        |_| async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            whole("slow")
        },
        |builder| {
            builder.max_concurrent_streams(1);
        },
    )
    .await;
    let stand = stand(&[app.url()], |upstream| {
        upstream.connections = 1;
        upstream.connect_timeout = Duration::from_millis(500);
    })
    .await;
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let _first = stand.open(request).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let answers = futures_util::future::join_all((0..4).map(|_| raw(&stand.address, request))).await;
    for answer in answers {
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
}

#[tokio::test]
async fn a_connection_that_the_app_lets_go_says_nothing_against_the_app() {
    // It closes what is unused, as every server does, and a POST comes at that moment.
    let (app, address) = ByHand::start().await;
    let (other, count) = telling().await;
    let stand = stand(&[format!("http://{address}"), format!("http://{other}")], |_| {}).await;
    let mut first = stand.open(b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(OK).await.unwrap();
    until(&mut first, "ok").await;
    // The other one's turn.
    assert!(
        raw(&stand.address, b"GET /b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.contains("/b")
    );
    let post = b"POST /c HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    let mut client = stand.open(post).await;
    assert!(head(&mut upstream).await.starts_with("POST /c"));
    drop(upstream);
    assert!(head(&mut client).await.starts_with("HTTP/1.1 502"));
    // Two more: one of them is for the first app, unless that is out.
    let before = count.load(Ordering::SeqCst);
    let _a = stand.open(b"GET /d HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let _b = stand.open(b"GET /e HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let asked = tokio::time::timeout(Duration::from_millis(500), app.request()).await;
    assert!(asked.is_ok(), "the app is out; {before}");
}

#[tokio::test]
async fn an_early_answer_to_an_upload_is_an_answer() {
    // 413, and the connection closed with a reset, as nginx and uvicorn do.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                head(&mut stream).await;
                let answer = b"HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    let stand = Stand::before(app).await;
    let mut wrong = 0;
    for _ in 0..50 {
        let mut client = stand.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 20000000\r\n\r\n").await;
        let (mut reading, mut writing) = client.split();
        let piece = vec![b'x'; 1 << 16];
        let mut answer = vec![0; 12];
        let read = patiently(async {
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
async fn a_path_is_connected_to_by_nobody() {
    let (app, connections) = telling().await;
    let stand = Stand::before(app).await;
    let answer = raw(&stand.address, b"CONNECT /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
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
        patiently(sender.send_request(first)).await.unwrap();
        let mut request = Request::connect("http://gate.example/ws")
            .header("sec-websocket-version", "13")
            .body(Empty::new())
            .unwrap();
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        (sender, request)
    }

    #[tokio::test]
    async fn over_http2_it_is_no_idle_connection() {
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
        let stand = Stand::with(app, |_| {}, |server| server.idle_timeout = Duration::from_millis(400)).await;
        let (mut sender, request) = open(&stand.address).await;
        let response = patiently(sender.send_request(request)).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut stream = TokioIo::new(patiently(hyper::upgrade::on(response)).await.unwrap());
        // Quiet, but far from timeouts.stream.
        let cut = tokio::time::timeout(Duration::from_millis(1_500), stream.read_u8()).await;
        assert!(cut.is_err(), "it was cut as an idle connection: {cut:?}");
    }

    #[tokio::test]
    async fn over_http2_an_ordinary_answer_opens_none() {
        let (app, address) = ByHand::start().await;
        let stand = Stand::before(address).await;
        for answer in [
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
        ] {
            let (mut sender, request) = open(&stand.address).await;
            let serve = async {
                let (mut upstream, _) = app.request().await;
                upstream.write_all(answer.as_bytes()).await.unwrap();
                std::future::pending::<()>().await
            };
            let response = tokio::select! {
                () = serve => unreachable!(),
                response = patiently(sender.send_request(request)) => response,
            };
            let status = response.map(|response| response.status().as_u16()).unwrap_or(0);
            assert!(status >= 300, "{answer:?} is a WebSocket to the client: {status}");
        }
    }
}

#[tokio::test]
async fn a_body_whose_length_is_wrong_does_not_reach_the_next_request() {
    // The client leaves in the middle; what is kept afterwards is another connection.
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let client = stand.open(b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\npart").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(OK).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(client);
    let mut other = stand.open(b"GET /b HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut second, asked) = app.request().await;
    assert!(asked.starts_with("GET /b"));
    second.write_all(OK).await.unwrap();
    until(&mut other, "ok").await;
    assert!(closed(&mut upstream).await);
}

#[tokio::test]
async fn a_connection_that_takes_no_more_requests_makes_room_for_another() {
    // The app refuses a stream (RFC 9113, section 8.7), and keeps the connection.
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
    let stand = stand(&[url], |upstream| {
        upstream.connections = 1;
        upstream.connect_timeout = Duration::from_secs(2);
    })
    .await;
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    assert!(raw(&stand.address, request).await.starts_with("HTTP/1.1 502"));
    let answer = raw(&stand.address, request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// What others asked of the same app, while one client takes back what it asked.
#[tokio::test]
async fn a_client_that_leaves_takes_nobody_along() {
    let app = Http2App::start(
        |request| async move {
            if request.uri().path() == "/slow" {
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            whole("fine")
        },
        |_| {},
    )
    .await;
    let stand = stand(&[app.url()], |_| {}).await;
    let mut victim =
        stand.open(b"POST /slow HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..5 {
        let mut client = patiently(frames(&stand.address, 65_535).await.ready()).await.unwrap();
        for _ in 0..150 {
            let request = Request::get("http://gate.example/slow").body(()).unwrap();
            let Ok((response, mut send)) = client.send_request(request, true) else { break };
            tokio::task::yield_now().await;
            send.send_reset(h2::Reason::CANCEL);
            drop(response);
            // It may have been sent away by then.
            let Ok(ready) = patiently(client.ready()).await else { break };
            client = ready;
        }
    }
    let answer = head(&mut victim).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn an_answer_to_head_over_http2_has_no_body() {
    let (app, _) = telling().await;
    let stand = Stand::with(app, |_| {}, |server| server.headers = 20).await;
    for (target, headers) in
        [("/oauth2/healthz", 0), ("/oauth2/nothing", 0), ("/oauth2/sign_in", 0), ("/", 30)]
    {
        let mut client = patiently(frames(&stand.address, 65_535).await.ready()).await.unwrap();
        let mut request = Request::head(format!("http://gate.example{target}"));
        for number in 0..headers {
            request = request.header(format!("x-{number}"), "1");
        }
        let (response, _) = client.send_request(request.body(()).unwrap(), true).unwrap();
        let response = patiently(response).await.unwrap();
        let data = patiently(response.into_body().data()).await;
        assert!(data.is_none(), "{target}: {data:?}");
    }
}

/// The body of a `GET` whose length nobody told was left behind.
#[tokio::test]
async fn a_get_with_chunks_keeps_its_body() {
    let (app, address) = ByHand::start().await;
    let stand = Stand::before(address).await;
    let mut client = stand
        .open(b"GET /search HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nquery\r\n0\r\n\r\n")
        .await;
    let (mut upstream, request) = app.request().await;
    assert!(request.contains("transfer-encoding: chunked\r\n"), "{request}");
    assert!(until(&mut upstream, "0\r\n\r\n").await.contains("query"));
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    until(&mut client, "\r\n\r\nok").await;
    // What follows on both connections is the next request, and nothing else.
    client.write_all(b"GET /next HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let next = head(&mut upstream).await;
    assert!(next.starts_with("GET /next HTTP/1.1\r\n") && !next.contains("chunked"), "{next}");
}
