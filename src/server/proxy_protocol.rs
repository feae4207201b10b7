//! The PROXY protocol, versions 1 and 2: a load balancer in front tells the
//! client's address before the client's own first byte.

use std::io;
use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig, ProxyHeader};

use super::peek_stream::{PeekStream, Socket};

/// No header is longer: 107 bytes of version 1; of version 2 an address and a few
/// kilobytes that say more about the connection.
const LONGEST: usize = 4096;

/// Takes the header off the stream; the client's address, or `None` where the
/// balancer speaks for itself (a health check).
pub(super) async fn read(stream: &mut PeekStream<Socket>) -> io::Result<Option<SocketAddr>> {
    loop {
        match ProxyHeader::parse(stream.peeked(), ParseConfig::default()) {
            Ok((header, length)) => {
                let source = header.proxied_address().map(|address| address.source);
                stream.consume(length);
                return Ok(source);
            }
            Err(Error::BufferTooShort) if stream.peeked().len() < LONGEST => {
                if stream.peek_more().await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
        }
    }
}
