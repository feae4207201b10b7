//! The app: it answers with the person and the path that it was asked by. `/stream` sends one
//! event, and then nothing.

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const EVENTS: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n\
    8\r\ndata: \n\n\r\n";

/// Starts it; returns its URL.
pub(crate) async fn app() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // A client that leaves is no failure.
                let _ = answer(stream).await;
            });
        }
    });
    format!("http://{address}")
}

async fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut path, mut user) = (String::new(), "nobody".to_owned());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            if line.trim().is_empty() {
                break;
            }
            if path.is_empty() {
                path = line.split(' ').nth(1).unwrap_or_default().to_owned();
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("x-forwarded-preferred-username")
            {
                user = value.trim().to_owned();
            }
        }
        if path == "/stream" {
            stream.write_all(EVENTS).await?;
            std::future::pending::<()>().await;
        }
        let body = format!("{user} {path}");
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(head.as_bytes()).await?;
    }
}
