//! gRPC clients get a gRPC status when the app does not answer.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{Http2App, proxy_for, reply};
use crate::proxy::{ScriptedApp, read_until};
use crate::world::raw;

const CALL: &[u8] = b"POST /hello.Greeter/Hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\nte: trailers\r\n\
                      content-type: application/grpc+proto\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0";

#[tokio::test]
async fn errors_are_grpc_statuses() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (app, address) = ScriptedApp::start().await;
    for (url, status, message) in [
        (format!("h2c://{nobody}"), "14", "The app behind this proxy does not answer."),
        (format!("http://{address}"), "8", "The request body is longer than the limit of 4 bytes."),
        (format!("http://{address}"), "4", "The app behind this proxy did not answer in time."),
    ] {
        let proxy = proxy_for(&[url], |upstream| {
            upstream.stream_timeout = Duration::from_millis(300);
            upstream.body_bytes = (status == "8").then_some(4);
        })
        .await;
        let answer = raw(&proxy.address, CALL).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        for line in [
            "content-type: application/grpc+proto",
            &format!("grpc-status: {status}"),
            &format!("grpc-message: {message}"),
        ] {
            assert!(answer.contains(&format!("{line}\r\n")), "{line}: {answer}");
        }
    }
    drop(app);
}

#[tokio::test]
async fn the_response_timeout_does_not_apply_to_grpc_calls() {
    let app = Http2App::start(
        |_| async {
            tokio::time::sleep(Duration::from_millis(600)).await;
            reply("late")
        },
        |_| {},
    )
    .await;
    let proxy =
        proxy_for(&[app.url()], |upstream| upstream.response_timeout = Duration::from_millis(100)).await;
    let mut client = proxy.open(CALL).await;
    read_until(&mut client, "\r\n\r\nlate").await;
    // It applies to other requests.
    let mut client = proxy.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n").await;
    client.write_all(b"hi").await.unwrap();
    read_until(&mut client, "HTTP/1.1 504").await;
}
