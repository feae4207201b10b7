//! Where clients come in: addresses and unix sockets.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::peek_stream::Socket;

/// A client that says nothing for so long is asked whether it still is there,
const KEEPALIVE: Duration = Duration::from_secs(60);
/// again and again,
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// and is gone if it never answers.
const KEEPALIVE_RETRIES: u32 = 4;

/// An address to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "both kinds there are")]
pub enum ListenAddress {
    /// An address and a port; port 0 is any that is free.
    Tcp(SocketAddr),
    /// The path of a unix socket.
    Unix(PathBuf),
}

/// Why a text is no address to listen at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not an address and a port; write it like \"127.0.0.1:4180\", \"[::]:4180\" or \"unix:/run/huggate.sock\""
)]
pub struct NotAListenAddress;

/// A socket that clients connect to.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    address: ListenAddress,
    /// As it was asked for: maybe with port 0.
    asked: ListenAddress,
    /// Removed with the listener.
    _file: Option<SocketFile>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The file of a unix socket that we made; it goes with the socket.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

/// The sockets that a server listens at; can be replaced while it runs.
#[derive(Debug, Clone)]
pub struct Listeners(watch::Sender<Vec<Arc<Listener>>>);

impl ListenAddress {
    /// Reads `127.0.0.1:4180`, `[::]:4180` or `unix:/path`.
    ///
    /// # Errors
    /// [`NotAListenAddress`].
    pub fn parse(text: &str) -> Result<Self, NotAListenAddress> {
        match text.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(_) => Err(NotAListenAddress),
            None => text.parse().map(Self::Tcp).map_err(|_| NotAListenAddress),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Listener {
    /// Listens at `address`. `mode`: who may connect to a unix socket, as the bits
    /// of its file. One that was left behind by a process that is gone is replaced.
    ///
    /// # Errors
    /// What the system says, of a socket that is in use too.
    pub fn bind(address: &ListenAddress, mode: u32) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(socket) => {
                let listener = Self::from_tcp(std::net::TcpListener::bind(socket)?)?;
                Ok(Self { asked: address.clone(), ..listener })
            }
            ListenAddress::Unix(path) => {
                remove_stale(path)?;
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
                let inode = std::fs::metadata(path)?.ino();
                let file = SocketFile { path: path.clone(), inode };
                let (address, asked) = (address.clone(), address.clone());
                Ok(Self { kind: Kind::Unix(listener), address, asked, _file: Some(file) })
            }
        }
    }

    /// Takes over a socket that somebody else has bound, as systemd does.
    ///
    /// # Errors
    /// What the system says.
    pub fn from_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        // What is set here, every accepted connection has from the beginning.
        let socket = SockRef::from(&listener);
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(KEEPALIVE)
            .with_interval(KEEPALIVE_INTERVAL)
            .with_retries(KEEPALIVE_RETRIES);
        socket.set_tcp_keepalive(&keepalive)?;
        let address = ListenAddress::Tcp(listener.local_addr()?);
        let asked = address.clone();
        Ok(Self { kind: Kind::Tcp(TcpListener::from_std(listener)?), address, asked, _file: None })
    }

    /// Takes over a unix socket that somebody else has bound.
    ///
    /// # Errors
    /// What the system says.
    pub fn from_unix(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let path = listener.local_addr()?.as_pathname().map_or_else(PathBuf::new, Path::to_owned);
        let listener = UnixListener::from_std(listener)?;
        let address = ListenAddress::Unix(path);
        Ok(Self { kind: Kind::Unix(listener), asked: address.clone(), address, _file: None })
    }

    /// Where it listens: with the port that the system chose, if it did.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// The next connection, in a form that another runtime can take over.
    pub(super) async fn accept(&self) -> io::Result<(Accepted, Option<SocketAddr>)> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((Accepted(Socket::Tcp(stream)), Some(address)))
            }
            Kind::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Accepted(Socket::Unix(stream)), None))
            }
        }
    }
}

/// A connection that just came.
pub(super) struct Accepted(Socket);

/// The same, of no runtime.
pub(super) enum Detached {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

impl Accepted {
    /// For the runtime that accepted it.
    pub(super) fn into_socket(self) -> Socket {
        self.0
    }

    /// For another runtime.
    pub(super) fn detach(self) -> io::Result<Detached> {
        match self.0 {
            Socket::Tcp(stream) => stream.into_std().map(Detached::Tcp),
            Socket::Unix(stream) => stream.into_std().map(Detached::Unix),
        }
    }
}

impl Detached {
    /// For the runtime that this is called in.
    pub(super) fn attach(self) -> io::Result<Socket> {
        match self {
            Self::Tcp(stream) => tokio::net::TcpStream::from_std(stream).map(Socket::Tcp),
            Self::Unix(stream) => tokio::net::UnixStream::from_std(stream).map(Socket::Unix),
        }
    }
}

/// Removes the file of a unix socket that nobody listens at any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "there is a file of that name, and it is no socket",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have made one of its own there meanwhile.
        if std::fs::metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Listeners {
    /// These, to begin with.
    #[must_use]
    pub fn new(listeners: Vec<Listener>) -> Self {
        Self(watch::Sender::new(listeners.into_iter().map(Arc::new).collect()))
    }

    /// Where they are.
    #[must_use]
    pub fn addresses(&self) -> Vec<ListenAddress> {
        self.0.borrow().iter().map(|listener| listener.address.clone()).collect()
    }

    /// Where they were asked for: with port 0 where any was.
    #[must_use]
    pub fn asked(&self) -> Vec<ListenAddress> {
        self.0.borrow().iter().map(|listener| listener.asked.clone()).collect()
    }

    /// From now on: those of before whose address, as it was asked for, `keep` wants, and `new` ones.
    /// Connections that were accepted go on.
    pub fn replace(&self, keep: impl Fn(&ListenAddress) -> bool, new: Vec<Listener>) {
        self.0.send_modify(|listeners| {
            listeners.retain(|listener| keep(&listener.asked));
            listeners.extend(new.into_iter().map(Arc::new));
        });
    }

    pub(super) fn watch(&self) -> watch::Receiver<Vec<Arc<Listener>>> {
        self.0.subscribe()
    }

    /// Closes all of them.
    pub(super) fn close(&self) {
        self.0.send_replace(Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_a_path() {
        for text in ["127.0.0.1:4180", "[::]:4180", "unix:/run/huggate.sock"] {
            assert_eq!(ListenAddress::parse(text).unwrap().to_string(), text);
        }
        for text in ["localhost:80", "4180", "unix:huggate.sock", "unix:", "", "127.0.0.1"] {
            assert_eq!(ListenAddress::parse(text), Err(NotAListenAddress), "{text}");
        }
    }

    #[tokio::test]
    async fn a_socket_left_behind_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let address = ListenAddress::Unix(path.clone());
        // Dropped without its file being removed, as when a process is killed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&address, 0o600).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Listener::bind(&address, 0o600).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        assert!(!path.exists(), "it goes with the listener");
        std::fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&address, 0o600).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }
}
