//! Listens on TCP and unix sockets, and accepts connections.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::listen_address::ListenAddress;
use super::socket::Socket;

/// TCP keepalive: the first probe comes after `KEEPALIVE`, and unanswered probes close the
/// connection.
const KEEPALIVE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_RETRIES: u32 = 4;

/// A socket that clients connect to.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    address: ListenAddress,
    /// The address as configured, possibly with port 0.
    configured: ListenAddress,
    /// Removes the file of the socket on drop.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The file of a unix socket; removed on drop.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// The listeners of a server; they can be replaced while it runs.
#[derive(Debug, Clone)]
pub struct Listeners(watch::Sender<Vec<Arc<Listener>>>);

impl Listener {
    /// Listens on `address`. `mode` is the file mode of a unix socket. The socket file of
    /// a process that has ended is replaced.
    ///
    /// # Errors
    /// The error of the system, also if the address is in use.
    pub fn bind(address: &ListenAddress, mode: u32) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(socket) => {
                let listener = Self::from_tcp(std::net::TcpListener::bind(socket)?)?;
                Ok(Self { configured: address.clone(), ..listener })
            }
            ListenAddress::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
                let inode = std::fs::metadata(path)?.ino();
                let file = SocketFile { path: path.clone(), inode };
                let (address, configured) = (address.clone(), address.clone());
                Ok(Self { kind: Kind::Unix(listener), address, configured, _file: Some(file) })
            }
        }
    }

    /// Listens on a socket that is already bound, as systemd passes it.
    ///
    /// # Errors
    /// The error of the system.
    pub fn from_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // Accepted connections inherit these options.
        let socket = SockRef::from(&listener);
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_RETRIES);
        socket.set_tcp_keepalive(&keepalive)?;
        let address = ListenAddress::Tcp(listener.local_addr()?);
        let configured = address.clone();
        Ok(Self { kind: Kind::Tcp(TcpListener::from_std(listener)?), address, configured, _file: None })
    }

    /// Listens on a unix socket that is already bound.
    ///
    /// # Errors
    /// The error of the system.
    pub fn from_unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let path = listener.local_addr()?.as_pathname().map_or_else(PathBuf::new, Path::to_owned);
        let listener = UnixListener::from_std(listener)?;
        let address = ListenAddress::Unix(path);
        Ok(Self { kind: Kind::Unix(listener), configured: address.clone(), address, _file: None })
    }

    /// The address, with the port that the system chose for port 0.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Accepts a connection.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Socket::Tcp(stream), Some(address)))
            }
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::Unix(stream), None))
            }
        }
    }
}

/// Removes the file of a unix socket that no process listens on.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is not a socket"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have replaced the file.
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Listeners {
    /// Starts with these listeners.
    #[must_use]
    pub fn new(listeners: Vec<Listener>) -> Self {
        Self(watch::Sender::new(listeners.into_iter().map(Arc::new).collect()))
    }

    /// Their addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<ListenAddress> {
        self.0.borrow().iter().map(|listener| listener.address.clone()).collect()
    }

    /// Their addresses as configured, possibly with port 0.
    #[must_use]
    pub fn configured(&self) -> Vec<ListenAddress> {
        self.0.borrow().iter().map(|listener| listener.configured.clone()).collect()
    }

    /// Keeps the listeners whose configured address `keep` accepts, and adds `new` ones.
    /// Open connections are not affected.
    pub fn replace(&self, keep: impl Fn(&ListenAddress) -> bool, new: Vec<Listener>) {
        self.0.send_modify(|listeners| {
            listeners.retain(|listener| keep(&listener.configured));
            listeners.extend(new.into_iter().map(Arc::new));
        });
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Vec<Arc<Listener>>> {
        self.0.subscribe()
    }

    /// Closes all listeners.
    pub(super) fn close(&self) {
        self.0.send_replace(Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let address = ListenAddress::Unix(path.clone());
        // Leaves the file behind, as a killed process does.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&address, 0o600).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Listener::bind(&address, 0o600).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists(), "the file is removed with the listener");
        std::fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&address, 0o600).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }
}
