//! What gRPC clients are told when the app does not answer.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{Http2App, stand, whole};
use crate::proxy::{ByHand, until};
use crate::world::raw;

const CALL: &[u8] = b"POST /hello.Greeter/Hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\nte: trailers\r\n\
                      content-type: application/grpc+proto\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0";

#[tokio::test]
async fn a_refusal_is_a_status_that_they_know() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (app, address) = ByHand::start().await;
    for (url, status, message) in [
        (format!("h2c://{nobody}"), "14", "The app behind this proxy does not answer."),
        (
            format!("http://{address}"),
            "8",
            "The request's body is longer than the 4 bytes that are let through.",
        ),
        (format!("http://{address}"), "4", "The app behind this proxy did not answer in time."),
    ] {
        let stand = stand(&[url], |upstream| {
            upstream.stream_timeout = Duration::from_millis(300);
            upstream.body_bytes = (status == "8").then_some(4);
        })
        .await;
        let answer = raw(&stand.address, CALL).await;
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
async fn a_call_may_take_longer_than_the_time_for_a_response() {
    let app = Http2App::start(
        |_| async {
            tokio::time::sleep(Duration::from_millis(600)).await;
            whole("late")
        },
        |_| {},
    )
    .await;
    let stand = stand(&[app.url()], |upstream| upstream.response_timeout = Duration::from_millis(100)).await;
    let mut client = stand.open(CALL).await;
    until(&mut client, "\r\n\r\nlate").await;
    // Any other request may not.
    let mut client = stand.open(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n").await;
    client.write_all(b"hi").await.unwrap();
    until(&mut client, "HTTP/1.1 504").await;
}
