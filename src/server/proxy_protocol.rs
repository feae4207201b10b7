//! Reads the PROXY header, versions 1 and 2, in which a load balancer sends the client's
//! address before the client's first byte.

use std::io;
use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig, ProxyHeader};

use super::peek_stream::PeekStream;
use super::socket::Socket;

/// The longest header: version 1 has at most 107 bytes, version 2 an address and at most
/// a few kilobytes of extensions.
const MAX_HEADER: usize = 4096;

/// Consumes the header. Returns the client's address, or `None` if the connection is the
/// load balancer's own, as for a health check.
pub(super) async fn read(stream: &mut PeekStream<Socket>) -> io::Result<Option<SocketAddr>> {
    loop {
        match ProxyHeader::parse(stream.peeked(), ParseConfig::default()) {
            Ok((header, length)) => {
                let source = header.proxied_address().map(|address| address.source);
                stream.consume(length);
                return Ok(source);
            }
            Err(Error::BufferTooShort) if stream.peeked().len() < MAX_HEADER => {
                if stream.peek_more().await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
        }
    }
}
