//! Informational responses of the app, which hyper's server cannot pass on: they end
//! nothing, and nothing of them reaches the client.

use std::time::Duration;

use http::{Response, StatusCode};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{canned_app, get};
use crate::http2;
use crate::pool::proxy_for;
use crate::proxy::{ScriptedApp, read_head, with_timeout};
use crate::world::raw;

/// An HTTP/2 app that sends 103 before its response.
async fn http2_app() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("h2c://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    for _ in 0..3 {
                        let hints = Response::builder().status(StatusCode::EARLY_HINTS);
                        let hints = hints.header("link", "</early.css>").header("x-forwarded-user", "ada");
                        respond.send_informational(hints.body(()).unwrap()).unwrap();
                    }
                    let response = Response::builder().header("link", "</late.css>");
                    let mut body = respond.send_response(response.body(()).unwrap(), false).unwrap();
                    body.send_data(bytes::Bytes::new(), true).unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn the_response_after_early_hints_is_passed_on_without_them() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </early.css>\r\nX-Forwarded-User: ada\r\n\r\n";
    let response = "HTTP/1.1 200 OK\r\nLink: </late.css>\r\nContent-Length: 0\r\n\r\n";
    let (app, _) = canned_app(format!("{}{response}", hints.repeat(3))).await;
    for url in [format!("http://{app}"), http2_app().await] {
        let proxy = proxy_for(&[url], |_| {}).await;
        for _ in 0..2 {
            let answer = raw(&proxy.address, &get("/")).await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.contains("link: </late.css>\r\n"), "{answer}");
            assert!(!answer.contains("early") && !answer.contains("ada"), "{answer}");
            let mut client = http2::connect(&proxy.address).await;
            let response = http2::ask(&mut client, http2::get("/")).await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.headers()["link"], "</late.css>");
            assert!(!response.headers().contains_key("x-forwarded-user"));
        }
    }
}

#[tokio::test]
async fn informational_responses_without_end_are_504() {
    let (app, address) = ScriptedApp::start().await;
    let proxy = proxy_for(&[format!("http://{address}")], |upstream| {
        upstream.response_timeout = Duration::from_millis(300);
    })
    .await;
    let mut client = proxy.open(&get("/")).await;
    let (mut upstream, _) = app.request().await;
    let flood = tokio::spawn(async move {
        // Ends when the proxy closes the connection.
        while upstream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").await.is_ok() {}
    });
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 504"));
    with_timeout(flood).await.unwrap();
}
