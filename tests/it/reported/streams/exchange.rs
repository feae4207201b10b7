//! One exchange over HTTP/1.1 or HTTP/2, frame by frame.

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Stage;
use crate::proxy::{read_head, with_timeout};

/// The client's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http1,
    Http2,
}

pub(super) const VERSIONS: [Version; 2] = [Version::Http1, Version::Http2];

/// A request, and what came of its response.
pub(super) struct Exchange {
    client: Client,
    received: Vec<u8>,
}

enum Client {
    Http1(TcpStream),
    Http2 {
        response: Option<h2::client::ResponseFuture>,
        upload: SendStream<Bytes>,
        body: Option<RecvStream>,
    },
}

impl Exchange {
    pub(super) async fn begin(
        stage: &Stage,
        version: Version,
        method: &str,
        path: &str,
        cookie: &str,
    ) -> Self {
        Self::with_accept(stage, version, method, path, cookie, "*/*").await
    }

    pub(super) async fn with_accept(
        stage: &Stage,
        version: Version,
        method: &str,
        path: &str,
        cookie: &str,
        accept: &str,
    ) -> Self {
        let mut stream = TcpStream::connect(&stage.address).await.unwrap();
        let uploads = method == "POST";
        let host = stage.host();
        let client = match version {
            Version::Http1 => {
                let body = if uploads { "transfer-encoding: chunked\r\n" } else { "" };
                let head = format!(
                    "{method} {path} HTTP/1.1\r\nhost: {host}\r\naccept: {accept}\r\ncookie: {cookie}\r\n{body}\r\n"
                );
                stream.write_all(head.as_bytes()).await.unwrap();
                Client::Http1(stream)
            }
            Version::Http2 => {
                let (sender, connection) = h2::client::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                let request = Request::builder()
                    .method(method)
                    .uri(format!("http://{host}{path}"))
                    .header("accept", accept)
                    .header("cookie", cookie)
                    .body(())
                    .unwrap();
                let mut sender = with_timeout(sender.ready()).await.unwrap();
                let (response, upload) = sender.send_request(request, !uploads).unwrap();
                Client::Http2 { response: Some(response), upload, body: None }
            }
        };
        Self { client, received: Vec::new() }
    }

    /// The status, once the response has begun.
    pub(super) async fn status(&mut self) -> u16 {
        match &mut self.client {
            Client::Http1(stream) => {
                let head = read_head(stream).await;
                self.received = head.clone().into_bytes();
                head.split(' ').nth(1).unwrap_or_else(|| panic!("no response")).parse().unwrap()
            }
            Client::Http2 { response, body, .. } => {
                let response = with_timeout(response.take().unwrap()).await.unwrap();
                let status = response.status().as_u16();
                *body = Some(response.into_body());
                status
            }
        }
    }

    /// Receives until this text has come.
    pub(super) async fn receive(&mut self, text: &str) {
        self.received.clear();
        while !String::from_utf8_lossy(&self.received).contains(text) {
            let more = self.read().await;
            assert_eq!(more, Ok(true), "{text:?} did not come, but {:?}", self.text());
        }
    }

    /// Sends a part of the request's body.
    pub(super) async fn send(&mut self, text: &str) {
        assert!(self.try_send(text).await, "the upload has ended");
    }

    /// The same; `false` if the upload has ended.
    pub(super) async fn try_send(&mut self, text: &str) -> bool {
        match &mut self.client {
            Client::Http1(stream) => {
                let chunk = format!("{:x}\r\n{text}\r\n", text.len());
                stream.write_all(chunk.as_bytes()).await.is_ok()
            }
            Client::Http2 { upload, .. } => upload.send_data(Bytes::from(text.to_owned()), false).is_ok(),
        }
    }

    /// Waits for the end of the response, which must not look complete: the connection is
    /// closed in the middle of the message, or the stream is reset with CANCEL.
    pub(super) async fn is_cut(&mut self) {
        self.received.clear();
        loop {
            match self.read().await {
                Ok(true) => {}
                Ok(false) => {
                    assert!(matches!(self.client, Client::Http1(_)), "the stream ended as if it were whole");
                    assert!(!self.text().ends_with("0\r\n\r\n"), "it looks complete: {:?}", self.text());
                    return;
                }
                Err(reason) => {
                    assert!(reason.is_none_or(|reason| reason == Reason::CANCEL), "{reason:?}");
                    return;
                }
            }
        }
    }

    /// Receives the rest of a response that is complete.
    pub(super) async fn rest(&mut self) -> String {
        self.received.clear();
        while self.read().await.unwrap_or(false) {}
        self.text()
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// Receives some bytes; `false` at the end, or why the stream was reset.
    async fn read(&mut self) -> Result<bool, Option<Reason>> {
        match &mut self.client {
            Client::Http1(stream) => match with_timeout(stream.read_buf(&mut self.received)).await {
                Ok(read) => Ok(read > 0),
                Err(_) => Err(None),
            },
            Client::Http2 { body, .. } => {
                let body = body.as_mut().unwrap();
                match with_timeout(body.data()).await {
                    None => Ok(false),
                    Some(Ok(bytes)) => {
                        let _ = body.flow_control().release_capacity(bytes.len());
                        self.received.extend_from_slice(&bytes);
                        Ok(true)
                    }
                    Some(Err(error)) => {
                        assert!(error.is_reset(), "{error}");
                        Err(error.reason())
                    }
                }
            }
        }
    }
}
