//! A limit means the same over HTTP/1.1 and HTTP/2.

use http_body_util::{BodyExt, Full};

use crate::http2;
use crate::proxy::{TestProxy, echo_app};
use crate::world::raw;

/// The status of the same request over HTTP/1.1 and over HTTP/2, and both bodies.
async fn both(proxy: &TestProxy, target: &str, fields: &[(&str, String)]) -> [(u16, String); 2] {
    let mut head = format!("GET {target} HTTP/1.1\r\nhost: x\r\n");
    let mut request = http::Request::get(format!("http://x{target}"));
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
        request = request.header(*name, value);
    }
    let answer = raw(&proxy.address, format!("{head}connection: close\r\n\r\n").as_bytes()).await;
    let (first, body) = answer.split_once("\r\n\r\n").unwrap();
    let over_http1 = (first[9..12].parse().unwrap(), body.to_owned());
    let mut client = http2::connect(&proxy.address).await;
    let response = http2::ask(&mut client, request.body(Full::default()).unwrap()).await;
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    [over_http1, (status, String::from_utf8(body.to_vec()).unwrap())]
}

fn lines(count: usize, length: usize) -> Vec<(&'static str, String)> {
    vec![("x-line", "a".repeat(length)); count]
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_over_both_versions() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start_with(app, |_| {}, |server| server.header_bytes = 16 * 1024).await;
    let html = |mut fields: Vec<(&'static str, String)>| {
        // First: what follows the limit is not read.
        fields.insert(0, ("accept", "text/html".to_owned()));
        fields
    };
    for (target, fields, expected) in [
        ("/".to_owned(), lines(80, 180), 200),
        ("/".to_owned(), lines(98, 150), 200),
        ("/".to_owned(), lines(98, 1), 200),
        ("/".to_owned(), lines(101, 1), 431),
        ("/".to_owned(), lines(80, 210), 431),
        ("/".to_owned(), html(lines(80, 210)), 431),
        ("/".to_owned(), lines(1, 16_200), 200),
        ("/".to_owned(), lines(1, 17_000), 431),
        ("/".to_owned(), html(lines(1, 70_000)), 431),
        (format!("/{}", "a".repeat(16_000)), vec![], 200),
        (format!("/{}", "a".repeat(17_000)), vec![], 431),
        (format!("/?{}", "a".repeat(17_000)), vec![], 431),
    ] {
        let what = format!("{} bytes, {} lines", target.len(), fields.len());
        for (version, (status, body)) in
            ["HTTP/1.1", "HTTP/2"].iter().zip(both(&proxy, &target, &fields).await)
        {
            assert_eq!(status, expected, "{version}: {what}: {body}");
            if status == 431 {
                let page = fields.iter().any(|(name, _)| *name == "accept");
                let form = if page { "<h1>" } else { "\"error\":\"headers_too_large\"" };
                assert!(body.contains(form), "{version}: {what}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn the_pieces_of_a_cookie_count_as_one_line() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start_with(app, |_| {}, |server| server.header_bytes = 8 * 1024).await;
    let mut client = http2::connect(&proxy.address).await;
    for (count, expected) in [(800, 200), (1_200, 431)] {
        let mut request = http::Request::get("http://x/");
        for number in 0..count {
            request = request.header("cookie", format!("c{number}=1"));
        }
        let response = http2::ask(&mut client, request.body(Full::default()).unwrap()).await;
        assert_eq!(response.status(), expected, "{count}");
    }
    let whole = (0..1_200).map(|number| format!("c{number}=1")).collect::<Vec<_>>().join("; ");
    let [over_http1, over_http2] = both(&proxy, "/", &[("cookie", whole)]).await;
    assert_eq!((over_http1.0, over_http2.0), (431, 431));
}

#[tokio::test]
async fn a_body_past_the_limit_is_413_over_both_versions() {
    let (app, _) = echo_app().await;
    let proxy = TestProxy::start_with(app, |upstream| upstream.body_bytes = Some(1000), |_| {}).await;
    let body = "x".repeat(1001);
    let head = "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1001\r\n\r\n";
    assert!(raw(&proxy.address, format!("{head}{body}").as_bytes()).await.starts_with("HTTP/1.1 413"));
    let mut client = http2::connect(&proxy.address).await;
    let request = http::Request::post("http://x/").body(Full::from(body)).unwrap();
    assert_eq!(http2::ask(&mut client, request).await.status(), 413);
}
