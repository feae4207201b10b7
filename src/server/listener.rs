//! Listens on TCP and unix sockets, and accepts connections.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, TcpKeepalive, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

use super::listen_address::ListenAddress;
use super::socket::Socket;

/// How many connections may wait in the kernel to be accepted; it lowers this to its own
/// limit (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

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
                let listener = Self::from_tcp(bind_tcp(*socket)?)?;
                Ok(Self { configured: address.clone(), ..listener })
            }
            ListenAddress::Unix(path) => {
                remove_stale(path)?;
                let (listener, inode) = bind_unix(path, mode)?;
                let listener = UnixListener::from_std(listener)?;
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

fn bind_tcp(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections that a process before this one has closed do not block the address.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Binds a unix socket, and returns the inode of its file. Nobody can connect before
/// `listen`, and the mode is set by then.
fn bind_unix(path: &Path, mode: u32) -> io::Result<(std::os::unix::net::UnixListener, u64)> {
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let inode = std::fs::metadata(path)?.ino();
    let listen = || {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        socket.set_nonblocking(true)?;
        socket.listen(BACKLOG)
    };
    if let Err(error) = listen() {
        drop(SocketFile { path: path.to_owned(), inode });
        return Err(error);
    }
    Ok((socket.into(), inode))
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

    #[test]
    fn a_unix_socket_has_its_mode_before_anybody_can_connect() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let address = ListenAddress::Unix(path.clone());
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let connecting = scope.spawn(|| {
                let mut modes = std::collections::BTreeSet::new();
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    if std::os::unix::net::UnixStream::connect(&path).is_ok()
                        && let Ok(found) = std::fs::metadata(&path)
                    {
                        modes.insert(found.permissions().mode() & 0o777);
                    }
                }
                modes
            });
            for _ in 0..300 {
                drop(Listener::bind(&address, 0o600).unwrap());
            }
            // So that the other thread has connected at least once.
            let _listener = Listener::bind(&address, 0o600).unwrap();
            let connected = std::os::unix::net::UnixStream::connect(&path);
            assert!(connected.is_ok());
            std::thread::sleep(Duration::from_millis(20));
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            let modes = connecting.join().unwrap();
            assert!(modes.iter().all(|mode| *mode == 0o600), "{modes:?}");
        });
    }

    #[tokio::test]
    async fn hundreds_of_clients_may_wait_to_be_accepted() {
        for address in ["127.0.0.1:0".to_owned(), unix_path()] {
            let listener = Listener::bind(&ListenAddress::parse(&address).unwrap(), 0o600).unwrap();
            // Blocking connects to a full backlog would wait.
            let connected = tokio::task::spawn_blocking(move || {
                let connect = || match listener.address() {
                    ListenAddress::Tcp(address) => std::net::TcpStream::connect(address).map(drop),
                    ListenAddress::Unix(path) => std::os::unix::net::UnixStream::connect(path).map(drop),
                };
                (0..1_000).filter(|_| connect().is_ok()).count()
            });
            let connected = tokio::time::timeout(Duration::from_secs(20), connected).await;
            assert_eq!(connected.expect("clients wait to connect").unwrap(), 1_000, "{address}");
        }
    }

    fn unix_path() -> String {
        let folder = tempfile::tempdir().unwrap().keep();
        format!("unix:{}/socket", folder.display())
    }
}
