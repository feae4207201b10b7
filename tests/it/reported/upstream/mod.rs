//! The connection to the app.

mod early_hints;
mod idle;
mod old_forms;
mod reload;
mod response_head;
mod waiting;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::proxy::read_head;

/// A GET request for `path` with `Connection: close`.
fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: app.example\r\nconnection: close\r\n\r\n").into_bytes()
}

/// An app that answers every request with these bytes, and counts the requests.
async fn canned_app(answer: impl Into<Vec<u8>>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let (counted, answer) = (Arc::clone(&requests), Arc::<[u8]>::from(answer.into()));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (counted, answer) = (Arc::clone(&counted), Arc::clone(&answer));
            tokio::spawn(async move {
                while !read_head(&mut stream).await.is_empty() {
                    counted.fetch_add(1, Ordering::SeqCst);
                    if stream.write_all(&answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (address, requests)
}
