//! One accepted connection: the PROXY header, TLS, and the version of HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio_rustls::TlsAcceptor;

use super::address_limit::{AddressLimit, TooManyConnections};
use super::connection_context::ConnectionContext;
use super::graceful_shutdown::unless_closing;
use super::peek_stream::PeekStream;
use super::socket::Socket;
use super::{http1, http2, proxy_protocol};
use crate::client::RequestContext;

/// The connection preface of HTTP/2 (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// An accepted connection, before its first byte.
pub(super) struct Connection {
    pub(super) context: ConnectionContext,
    /// The peer is a trusted proxy, and must send a PROXY header.
    pub(super) expects_proxy_header: bool,
    pub(super) address_limit: Arc<AddressLimit>,
    pub(super) tls: Option<TlsAcceptor>,
}

impl Connection {
    /// Serves requests until the connection is closed. Futures that only some
    /// connections need are boxed, so that an idle connection holds no memory for TLS
    /// or for the other version of HTTP.
    pub(super) async fn serve<S, F, B>(mut self, socket: Socket, service: S)
    where
        S: Fn(Request<Incoming>, RequestContext) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut stream = PeekStream::new(socket);
        if self.expects_proxy_header && !self.read_proxy_header(&mut stream).await {
            return;
        }
        let Some(tls) = self.tls.take() else {
            match unless_closing(&self.context.state, has_http2_preface(&mut stream)).await {
                None => {}
                Some(Err(error)) => {
                    tracing::debug!(%error, "a client disconnected before its first request");
                }
                Some(Ok(true)) => Box::pin(http2::serve(stream, self.context, service)).await,
                Some(Ok(false)) => Box::pin(http1::serve(stream, self.context, service)).await,
            }
            return;
        };
        match Box::pin(unless_closing(&self.context.state, tls.accept(stream))).await {
            None => {}
            Some(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Some(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                Box::pin(http2::serve(stream, self.context, service)).await;
            }
            Some(Ok(stream)) => Box::pin(http1::serve(stream, self.context, service)).await,
        }
    }

    /// Replaces the peer's address by the one in the PROXY header; `false` if the
    /// connection is to be closed.
    async fn read_proxy_header(&mut self, stream: &mut PeekStream<Socket>) -> bool {
        let Self { context, address_limit, .. } = self;
        match unless_closing(&context.state, proxy_protocol::read(stream)).await {
            None => false,
            // Health checks of load balancers may connect and send nothing.
            Some(Err(error)) if stream.peeked().is_empty() => {
                tracing::debug!(%error, "a connection was closed before its PROXY header");
                false
            }
            Some(Err(error)) => {
                tracing::warn!(%error, client.addr = ?context.peer.addr, "closing a connection without a valid PROXY header");
                false
            }
            Some(Ok(source)) => {
                context.peer.addr = source.or(context.peer.addr);
                match address_limit.acquire(&context.peer, &context.settings) {
                    Ok(permit) => {
                        if let Some(permit) = &permit {
                            permit.holds(&context.state);
                        }
                        context.permits.address = permit;
                        true
                    }
                    Err(TooManyConnections) => false,
                }
            }
        }
    }
}

/// Whether the client starts with the preface of HTTP/2 (h2c with prior knowledge).
async fn has_http2_preface(stream: &mut PeekStream<Socket>) -> std::io::Result<bool> {
    loop {
        let peeked = stream.peeked();
        let compared = peeked.len().min(HTTP2_PREFACE.len());
        if peeked.get(..compared) != HTTP2_PREFACE.get(..compared) {
            return Ok(false);
        }
        if compared == HTTP2_PREFACE.len() {
            return Ok(true);
        }
        if stream.peek_more().await? == 0 {
            // hyper's HTTP/1 server handles an early end.
            return Ok(false);
        }
    }
}
