//! Binding listeners, and what to do when that fails.

use std::net::SocketAddr;

use huggate::server::{ListenAddress, Listener, ServerSettings};
use tokio::net::TcpListener;

use super::failure::Failure;

/// Listens at `addresses`, or says why not and what to do.
pub(super) fn bind(settings: &ServerSettings, addresses: &[ListenAddress]) -> Result<Vec<Listener>, Failure> {
    let bind = |address: &ListenAddress| {
        Listener::bind(address, settings.listen_mode).map_err(|error| bind_error(address, &error))
    };
    addresses.iter().map(bind).collect()
}

/// Listens, or says why not and what to do.
pub(super) async fn listen(addr: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(addr).await.map_err(|error| bind_error(&addr, &error))
}

/// Why nobody can listen at `address`, and what to do.
fn bind_error(address: &dyn std::fmt::Display, error: &std::io::Error) -> Failure {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => "; something else listens there: stop it, or choose another address",
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 are for root: choose a higher one",
        std::io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        std::io::ErrorKind::NotFound => "; its folder does not exist",
        _ => "",
    };
    Failure::Run(format!("cannot listen on {address}: {error}{hint}"))
}
