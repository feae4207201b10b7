//! HTTP/2 from clients: requests, WebSockets, gRPC, and attacks.

mod attacks;
mod requests;
mod websocket;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::proxy::with_timeout;

/// An HTTP/2 client with prior knowledge.
pub(crate) async fn connect(address: &str) -> SendRequest<Full<Bytes>> {
    over(TcpStream::connect(address).await.unwrap()).await
}

/// The same over any stream.
pub(crate) async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> SendRequest<Full<Bytes>> {
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(async move {
        // Errors show in the requests.
        let _ = connection.await;
    });
    sender
}

pub(crate) fn get(target: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://gate.example{target}")).body(Full::default()).unwrap()
}

pub(crate) async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Response<Incoming> {
    with_timeout(sender.send_request(request)).await.unwrap()
}

/// The whole body, as text.
pub(crate) async fn text(response: Response<Incoming>) -> String {
    let body = with_timeout(response.into_body().collect()).await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}
