//! Binding listeners.

use std::net::SocketAddr;

use huggate::server::{ListenAddress, Listener, ServerSettings};
use tokio::net::TcpListener;

use super::failure::Failure;

/// Binds `addresses`; the error says what to do.
pub(super) fn bind(settings: &ServerSettings, addresses: &[ListenAddress]) -> Result<Vec<Listener>, Failure> {
    let bind = |address: &ListenAddress| {
        Listener::bind(address, settings.listen_mode).map_err(|error| bind_error(address, &error))
    };
    addresses.iter().map(bind).collect()
}

/// Binds `addr`; the error says what to do.
pub(super) async fn listen(addr: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(addr).await.map_err(|error| bind_error(&addr, &error))
}

/// A bind error with a hint what to do.
fn bind_error(address: &dyn std::fmt::Display, error: &std::io::Error) -> Failure {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "; another process listens there: stop it, or choose another address"
        }
        std::io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need root privileges: choose a higher one"
        }
        std::io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        std::io::ErrorKind::NotFound => "; the folder does not exist",
        _ => "",
    };
    Failure::Run(format!("cannot listen on {address}: {error}{hint}"))
}
