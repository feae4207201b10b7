//! Apps that listen on unix sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use super::{get, proxy_for};
use crate::world::raw;

#[tokio::test]
async fn an_app_on_a_unix_socket_gets_the_clients_host() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.sock");
    let url = format!("unix:{}", path.display());
    let proxy = proxy_for(&[url], |upstream| upstream.connect_timeout = Duration::from_secs(1)).await;
    let answer = raw(&proxy.address, &get("/early")).await;
    assert!(answer.starts_with("HTTP/1.1 502") && !answer.contains("app.sock"), "{answer}");
    let listener = UnixListener::bind(&path).unwrap();
    let app = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        for _ in 0..2 {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            let request = String::from_utf8(request).unwrap();
            assert!(request.contains("host: app.example\r\n"), "{request}");
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{request}", request.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for path in ["/first?a=%2F", "/second"] {
        let answer = raw(&proxy.address, &get(path)).await;
        assert!(answer.contains(&format!("GET {path} HTTP/1.1\r\n")), "{answer}");
    }
    app.await.unwrap();
}
