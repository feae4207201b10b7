//! What an HTTP/1.1 client may send raw, and what it is told otherwise.

use http_body_util::BodyExt;

use crate::http2;
use crate::proxy::{TestProxy, echo_app};
use crate::world::{Log, raw};

/// Targets that browsers and clients send raw, and what reaches the app.
const RAW: [(&str, &str); 6] = [
    (r#"/pub/x?symbols=["A","B"]"#, "/pub/x?symbols=[%22A%22,%22B%22]"),
    ("/x?q=<b>|^{}`\\", "/x?q=%3Cb%3E|^{}`\\"),
    ("/x/{id}/\"a\"|b^c", "/x/{id}/\"a\"|b^c"),
    ("/x/<id>`", "/x/%3Cid%3E%60"),
    ("/x?name=J\u{f6}rg", "/x?name=J\u{f6}rg"),
    ("/x/[a]?b=[c]'", "/x/[a]?b=[c]'"),
];

async fn over_http1(proxy: &TestProxy, target: &[u8]) -> String {
    let head = [b"GET ", target, b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"].concat();
    raw(&proxy.address, &head).await
}

#[tokio::test]
async fn what_clients_send_raw_in_a_target_reaches_the_app() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    for (target, sent) in RAW {
        let answer = over_http1(&proxy, target.as_bytes()).await;
        assert!(answer.contains(&format!("GET {sent} HTTP/1.1\r\n")), "{target}: {answer}");
        // In absolute form, too.
        let answer = over_http1(&proxy, format!("http://x{target}").as_bytes()).await;
        assert!(answer.contains(&format!("GET {sent} HTTP/1.1\r\n")), "{target}: {answer}");
    }
    let answer = over_http1(&proxy, b"/caf\xe9?q=\"\xff").await;
    assert!(answer.contains("GET /caf%E9?q=%22%FF HTTP/1.1\r\n"), "{answer}");
}

#[tokio::test]
async fn a_raw_target_may_arrive_byte_by_byte_and_on_a_kept_connection() {
    use tokio::io::AsyncWriteExt;

    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    let mut client = tokio::net::TcpStream::connect(&proxy.address).await.unwrap();
    client.set_nodelay(true).unwrap();
    for number in 0..3 {
        let head = format!("GET /{number}?x=\"1\" HTTP/1.1\r\nhost: x\r\n\r\n");
        for byte in head.as_bytes() {
            client.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let expected = format!("GET /{number}?x=%221%22 HTTP/1.1\r\n");
        crate::proxy::read_until(&mut client, &expected).await;
        crate::proxy::read_until(&mut client, "\r\n\r\n").await;
    }
}

#[tokio::test]
async fn a_body_beside_a_raw_target_stays_as_it_is() {
    let (app, address) = crate::proxy::ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let _client =
        proxy.open(b"POST /?x=\"1\" HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n\"a\"#<b>\r\n").await;
    let (mut upstream, head) = app.request().await;
    assert!(head.starts_with("POST /?x=%221%22 HTTP/1.1\r\n"), "{head}");
    assert_eq!(crate::proxy::read_until(&mut upstream, "\r\n").await, "\"a\"#<b>\r\n");
}

#[tokio::test]
async fn every_400_and_431_has_a_body_and_a_line_in_the_log() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start_with(app, |_| {}, |server| server.header_bytes = 8192).await;
    let long = format!("x: {}", "a".repeat(9000));
    let many = "x: y\r\n".repeat(101);
    for (head, status, code) in [
        ("GET /a b HTTP/1.1\r\nhost: x", 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nhost : x", 400, "malformed_request"),
        ("GET / HTTP/1.1\r\nhost: x\r\nx: a\0b", 400, "malformed_request"),
        ("GET /\r\nhost: x", 400, "malformed_request"),
        ("G@T / HTTP/1.1\r\nhost: x", 400, "malformed_request"),
        ("GET /\u{7f} HTTP/1.1\r\nhost: x", 400, "malformed_request"),
        ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: x", 400, "malformed_request"),
        ("GET /a#b HTTP/1.1\r\nhost: x\r\nconnection: close", 400, "invalid_target"),
        ("CONNECT x:1 HTTP/1.1\r\nhost: x:1\r\nconnection: close", 400, "invalid_target"),
        ("OPTIONS * HTTP/1.1\r\nhost: x\r\nconnection: close", 400, "invalid_target"),
        ("GET / HTTP/1.1\r\nconnection: close", 400, "invalid_host"),
        (&format!("GET / HTTP/1.1\r\nhost: x\r\n{long}"), 431, "headers_too_large"),
        (&format!("GET / HTTP/1.1\r\nhost: x\r\n{many}x: y"), 431, "headers_too_large"),
    ] {
        let start = format!("HTTP/1.1 {status}");
        let log = Log::start();
        let json = raw(&proxy.address, format!("{head}\r\n\r\n").as_bytes()).await;
        assert!(json.starts_with(&start) && json.contains("application/json"), "{head}: {json}");
        assert!(json.contains(&format!("\"error\":\"{code}\"")), "{head}: {json}");
        let html = head.replacen("\r\n", "\r\naccept: text/html\r\n", 1);
        let page = raw(&proxy.address, format!("{html}\r\n\r\n").as_bytes()).await;
        assert!(page.starts_with(&start) && page.contains("text/html"), "{head}: {page}");
        assert!(page.contains("<h1>"), "{head}: {page}");
        if !matches!(code, "invalid_host") && !head.starts_with("OPTIONS") && !head.starts_with("CONNECT") {
            let lines = log.text().matches("reason=\"").count();
            assert!(lines >= 2 && log.text().contains(code), "{head}: {}", log.text());
        }
        for field in ["cache-control: no-store", "x-content-type-options: nosniff"] {
            assert!(json.contains(field) && page.contains(field), "{head}: {field}: {json}");
        }
    }
}

#[tokio::test]
async fn a_malformed_request_after_a_good_one_is_told_so() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    let mut client = proxy.open(b"GET /1 HTTP/1.1\r\nhost: x\r\n\r\n").await;
    crate::proxy::read_until(&mut client, "\r\n\r\n").await;
    crate::proxy::read_until(&mut client, "\r\n\r\n").await;
    tokio::io::AsyncWriteExt::write_all(&mut client, b"GET /a b HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    let _ = tokio::io::AsyncReadExt::read_to_string(&mut client, &mut rest).await;
    assert!(rest.starts_with("HTTP/1.1 400") && rest.contains("malformed_request"), "{rest}");
}

#[tokio::test]
async fn a_response_that_looks_like_a_parsers_is_not_replaced() {
    use tokio::io::AsyncWriteExt;

    let (app, address) = crate::proxy::ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = proxy.open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let (mut upstream, _) = app.request().await;
    upstream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 36\r\n\r\n").await.unwrap();
    let head = crate::proxy::read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 400") && head.contains("content-length: 36"), "{head}");
    // The last bytes, and alone in their write.
    upstream.write_all(b"HTTP/1.1 431 Request Too Large, a body").await.unwrap();
    crate::proxy::read_until(&mut client, "HTTP/1.1 431 Request Too Large, a bo").await;
}

#[tokio::test]
async fn a_target_of_another_scheme_or_host_is_refused() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start(app).await;
    for target in ["ftp://x/y", "ws://x/y", "FTP://x/y", "http://z/y", "http://me@x/y", "http://x:81/y"] {
        let answer = over_http1(&proxy, target.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("\"error\""), "{target}: {answer}");
        let mut client = http2::connect(&proxy.address).await;
        let (scheme, rest) = target.split_once("://").unwrap();
        if rest == "x/y" {
            let request = http::Request::get(format!("{}://x/y", scheme.to_lowercase()));
            let request = request.body(http_body_util::Full::default()).unwrap();
            let response = http2::ask(&mut client, request).await;
            assert_eq!(response.status(), 400, "{target}");
            assert!(!response.into_body().collect().await.unwrap().to_bytes().is_empty());
        }
    }
    let host = raw(&proxy.address, b"GET /y HTTP/1.1\r\nhost: me@x\r\nconnection: close\r\n\r\n").await;
    assert!(host.starts_with("HTTP/1.1 400"), "{host}");
    // TLS may end in front of a plain connection.
    let answer = over_http1(&proxy, b"https://x/y").await;
    assert!(answer.contains("GET /y HTTP/1.1\r\n"), "{answer}");
    assert!(answer.contains("x-forwarded-proto: http\r\n"), "it proves nothing: {answer}");
}
