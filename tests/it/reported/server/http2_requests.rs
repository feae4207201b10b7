//! One malformed request over HTTP/2 ends at most its own stream.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::proxy::{ScriptedApp, TestProxy, read_until, with_timeout};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
/// `:method: GET`, `:scheme: http`, `:authority: x`, of which the last enters the table.
const START: &[u8] = &[0x82, 0x86, 0x41, 1, b'x'];

/// A frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A request without a body.
fn request(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, 4 | 1, stream, block)
}

/// A field that enters the dynamic table, with a new name.
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |text: &[u8]| u8::try_from(text.len()).unwrap();
    [&[0x40, length(name)], name, &[length(value)], value].concat()
}

/// `:path`, which enters the dynamic table.
fn path(path: &[u8]) -> Vec<u8> {
    [&[0x44, u8::try_from(path.len()).unwrap()], path].concat()
}

async fn connect(proxy: &TestProxy) -> TcpStream {
    let mut client = TcpStream::connect(&proxy.address).await.unwrap();
    client.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).await.unwrap();
    client
}

/// The next frame of one of these kinds: its kind, stream and payload.
async fn next(client: &mut TcpStream, kinds: &[u8]) -> (u8, u32, Vec<u8>) {
    loop {
        let mut head = [0; 9];
        with_timeout(client.read_exact(&mut head)).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        with_timeout(client.read_exact(&mut payload)).await.unwrap();
        if kinds.contains(&head[3]) {
            return (head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload);
        }
    }
}

#[tokio::test]
async fn a_malformed_request_ends_no_other_stream_of_its_connection() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = connect(&proxy).await;
    client.write_all(&request(1, &[START, &path(b"/open")].concat())).await.unwrap();
    let (mut upstream, head) = app.request().await;
    assert!(head.starts_with("GET /open "), "{head}");
    let mut stream = 3;
    for block in [
        [START, &path(b"/"), &literal(b"upper-Case", b"x")].concat(),
        [START, &path(b"/"), &literal(b"nul", b"a\0b")].concat(),
        [START, &path(b"/"), &literal(b"line", b"a\r\nb: c")].concat(),
        [START, &path(b"/"), &literal(b"", b"x")].concat(),
        [START, &path(b"/"), &literal(b"a b", b"x")].concat(),
        [START, &path(b"/"), &literal(b"connection", b"close")].concat(),
        [START, &path(b"/"), &literal(b"transfer-encoding", b"chunked")].concat(),
        [START, &path(b"/"), &literal(b"te", b"gzip")].concat(),
        [START, &literal(b":unknown", b"x"), &path(b"/")].concat(),
        [START, &path(b"/"), &literal(b":status", b"x")].concat(),
        [START, &path(b"/a b")].concat(),
        [START, &path(b"/a\0b")].concat(),
        [START, &path(b"")].concat(),
        [&[0x86, 0x41, 1, b'x'], &literal(b":method", b"G T")[..], &path(b"/")].concat(),
        [&[0x82, 0x86, 0x41, 2, 0xff, b'x'], &path(b"/")[..]].concat(),
        [&[0x82, 0x41, 1, b'x'], &literal(b":scheme", b"\xff")[..], &path(b"/")].concat(),
    ] {
        client.write_all(&request(stream, &block)).await.unwrap();
        let (kind, of_stream, payload) = next(&mut client, &[RST_STREAM, GOAWAY, HEADERS]).await;
        assert_eq!((kind, of_stream), (RST_STREAM, stream), "{:?}", String::from_utf8_lossy(&block));
        assert_eq!(payload, [0, 0, 0, 1], "PROTOCOL_ERROR");
        stream += 2;
    }
    // The open request gets its response, and further ones, which refer to the table, theirs.
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    assert_eq!(next(&mut client, &[DATA, GOAWAY, RST_STREAM]).await, (DATA, 1, b"ok".to_vec()));
    let healthz = [START, &path(b"/oauth2/healthz")].concat();
    client.write_all(&request(stream, &healthz)).await.unwrap();
    assert_eq!(next(&mut client, &[DATA, GOAWAY, RST_STREAM]).await, (DATA, stream, b"ok\n".to_vec()));
    // 62 is the newest entry: the path.
    client.write_all(&request(stream + 2, &[0x82, 0x86, 0xbe, 0xbf])).await.unwrap();
    assert_eq!(next(&mut client, &[DATA, GOAWAY, RST_STREAM]).await, (DATA, stream + 2, b"ok\n".to_vec()));
}

#[tokio::test]
async fn what_clients_send_raw_in_a_path_reaches_the_app_over_http_2() {
    let (app, _) = crate::proxy::echo_app().await;
    let proxy = TestProxy::start(app).await;
    let mut client = connect(&proxy).await;
    let mut stream = 1;
    for (target, sent) in [
        (&br#"/pub/x?symbols=["A","B"]"#[..], "/pub/x?symbols=[%22A%22,%22B%22]"),
        (b"/x?q=<b>|^{}`\\", "/x?q=%3Cb%3E|^{}`\\"),
        (b"/x/<id>`", "/x/%3Cid%3E%60"),
        (b"/caf\xe9?q=\"\xff", "/caf%E9?q=%22%FF"),
        ("/x?name=J\u{f6}rg".as_bytes(), "/x?name=J\u{f6}rg"),
        (b"/plain", "/plain"),
    ] {
        client.write_all(&request(stream, &[START, &path(target)].concat())).await.unwrap();
        let (kind, of_stream, payload) = next(&mut client, &[DATA, GOAWAY, RST_STREAM]).await;
        let body = String::from_utf8(payload).unwrap();
        assert_eq!((kind, of_stream), (DATA, stream), "{sent}: {body}");
        assert!(body.starts_with(&format!("GET {sent} HTTP/1.1\r\n")), "{sent}: {body}");
        stream += 2;
    }
}

#[tokio::test]
async fn a_raw_fragment_is_refused_over_http_2_as_over_http_1() {
    let (app, _) = crate::proxy::echo_app().await;
    let proxy = TestProxy::start(app).await;
    let mut client = connect(&proxy).await;
    client.write_all(&request(1, &[START, &path(b"/a#b")].concat())).await.unwrap();
    let (kind, _, payload) = next(&mut client, &[DATA, GOAWAY, RST_STREAM]).await;
    let body = String::from_utf8(payload).unwrap();
    assert!(kind == DATA && body.contains("\"error\":\"invalid_target\""), "{body}");
}

#[tokio::test]
async fn an_upload_and_its_trailers_pass_whatever_their_bytes() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = TestProxy::start(address).await;
    let mut client = connect(&proxy).await;
    let start = [&[0x83, 0x86, 0x41, 1, b'x'], &path(b"/up?\"")[..]].concat();
    client.write_all(&frame(HEADERS, 4, 1, &start)).await.unwrap();
    // Bytes that look like a frame of headers.
    let body = frame(HEADERS, 4 | 1, 3, b"\xff\xff").repeat(100);
    let sent = [frame(DATA, 0, 1, &body), frame(DATA, 1, 1, b"end")].concat();
    for piece in sent.chunks(7) {
        client.write_all(piece).await.unwrap();
    }
    let (mut upstream, head) = app.request().await;
    assert!(head.starts_with("POST /up?%22 "), "{head}");
    let mut received = Vec::new();
    while !received.ends_with(b"end\r\n0\r\n\r\n") {
        received.push(with_timeout(upstream.read_u8()).await.unwrap());
    }
    let marks = received.windows(2).filter(|pair| *pair == b"\xff\xff").count();
    assert_eq!(marks, 100);
    upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
    assert_eq!(next(&mut client, &[DATA, GOAWAY, RST_STREAM]).await, (DATA, 1, b"ok".to_vec()));
    let mut other = proxy.open(b"GET /oauth2/healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
    read_until(&mut other, "ok\n").await;
}
