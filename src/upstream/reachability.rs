//! Whether an app accepts connections, for checks of a configuration.

use std::io;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::address::{Scheme, UpstreamUrl};

impl UpstreamUrl {
    /// Opens a connection and closes it again, without TLS and without a request.
    ///
    /// # Errors
    /// Why there is no connection within `timeout`.
    pub async fn try_connection(&self, timeout: Duration) -> io::Result<()> {
        let connected = async {
            match &self.scheme {
                Scheme::Unix(path) => UnixStream::connect(path).await.map(drop),
                Scheme::Http | Scheme::Https | Scheme::H2c => {
                    TcpStream::connect(&self.authority).await.map(drop)
                }
            }
        };
        tokio::time::timeout(timeout, connected).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}
