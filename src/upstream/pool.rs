//! Connections to one upstream, used again and again.
//!
//! Small on purpose, and ours: a general client's pool costs more than all of
//! the gate. A connection's task lives on the runtime that dialled it, and with a
//! runtime for each core a request stays on its own; so what is unused is kept by
//! thread. Only a request that finds nothing there looks further.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::time::Instant;

use super::address::UpstreamUrl;
use super::connection_limit::{ConnectionLimit, ConnectionPermit};
use super::connector::{Connector, NewConnection};
use super::expect_continue::ContinueGuard;
use super::http2_connection::{Http2, Stream};
use super::request_body::RequestBody;
use super::stall_detector::StallDetector;

/// A power of two, and more than most machines have cores. Threads past it share.
const SHARDS: usize = 64;
/// How many unused connections a shard keeps.
const MAX_IDLE: usize = 256;
/// How long one is kept unused. Servers close theirs after 5 to 75 seconds; one
/// that was closed is noticed when it is taken out.
const IDLE_LIFE: Duration = Duration::from_secs(60);
/// How long a connection may take to be ready for its next request.
const SETTLE: Duration = Duration::from_secs(1);

/// The connections to one upstream.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    kept: Arc<Kept>,
}

/// Bounds on connecting.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolLimits {
    /// Until a connection stands, and before that until there is room for one.
    pub(super) timeout: Duration,
    /// How many connections to one address.
    pub(super) connections: usize,
}

#[derive(Debug)]
struct Kept {
    shards: Box<[Shard]>,
    limit: Arc<ConnectionLimit>,
}

#[derive(Debug, Default)]
struct Shard {
    /// Those that carry one request at a time; the freshest at the back.
    idle: Mutex<VecDeque<(Http1, Instant)>>,
    /// Those that carry many.
    shared: Mutex<Vec<Http2>>,
    /// One connection is dialled at a time where many requests can share it.
    dialling: tokio::sync::Mutex<()>,
}

/// A connection that carries one request at a time.
#[derive(Debug)]
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<RequestBody>,
    /// The shard whose runtime it lives on; `None` where it lives on all threads.
    home: Option<usize>,
}

/// What a request is sent on.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Http1),
    Http2(Stream),
}

/// A connection for a request.
#[derive(Debug)]
pub(super) struct Checkout {
    pub(super) connection: Connection,
    /// How long it was unused; `None` if it is new.
    pub(super) unused: Option<Duration>,
}

/// A connection in use, on its way back to the pool.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Connection,
    kept: Arc<Kept>,
    /// How the request's body moves, if it has one: it may still be on its way
    /// although the response is over.
    body: Option<Arc<StallDetector>>,
    /// The body was held back until the app wants it.
    owed: Option<ContinueGuard>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    Timeout,
    /// There are as many as there may be, and none became free in time.
    Busy,
    Io(io::Error),
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        let kept = Kept { shards: (0..SHARDS).map(|_| Shard::default()).collect(), limit: Arc::default() };
        Self { connector, kept: Arc::new(kept) }
    }

    pub(super) fn url(&self) -> &UpstreamUrl {
        self.connector.url()
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// A kept connection that is ready, or a new one. `fresh`: a new one.
    pub(super) async fn find(&self, limits: PoolLimits, fresh: bool) -> Result<Checkout, ConnectError> {
        let own = own_shard();
        if !fresh {
            while let Some(mut found) = self.kept.take(own) {
                if found.connection.is_ready().await {
                    return Ok(found);
                }
            }
        }
        // To dial takes far more room than to find, TLS above all: boxed, since it
        // would be moved about with every request.
        Box::pin(self.find_new(own, limits, fresh)).await
    }

    /// A new connection, or room on one that was made meanwhile.
    async fn find_new(&self, own: usize, limits: PoolLimits, fresh: bool) -> Result<Checkout, ConnectError> {
        if !self.connector.may_multiplex() {
            return self.connect(own, limits, fresh).await;
        }
        let Some(shard) = self.kept.shards.get(own) else { return Err(ConnectError::Busy) };
        let alone = tokio::time::timeout(limits.timeout, shard.dialling.lock());
        // Whoever dials or waits for room tells what is wrong; this one only waited.
        let alone = alone.await.map_err(|_| ConnectError::Busy)?;
        // Whoever was first may have dialled for all.
        if let Some(stream) = self.kept.stream(own).filter(|_| !fresh) {
            return Ok(Checkout { connection: Connection::Http2(stream), unused: Some(Duration::ZERO) });
        }
        if !self.connector.may_multiplex() {
            drop(alone);
        }
        self.connect(own, limits, fresh).await
    }

    async fn connect(&self, own: usize, limits: PoolLimits, fresh: bool) -> Result<Checkout, ConnectError> {
        let permit = match self.kept.limit.take(limits.connections) {
            Some(permit) => permit,
            None => match self.room(own, limits, fresh).await? {
                Room::ConnectionPermit(permit) => permit,
                Room::Checkout(found) => return Ok(found),
            },
        };
        let connected = within(limits.timeout, self.connector.connect(Some(permit))).await?;
        self.adopt(own, connected)
    }

    /// A connection of its own, which speaks HTTP/1.1: for a WebSocket.
    pub(super) async fn find_http1(&self, limits: PoolLimits) -> Result<Checkout, ConnectError> {
        let own = own_shard();
        let permit = match self.kept.limit.take(limits.connections) {
            Some(permit) => permit,
            None => {
                let permit = self.kept.limit.wait(|| {
                    // What is unused makes room.
                    drop(self.kept.steal(own));
                    self.kept.limit.take(limits.connections)
                });
                tokio::time::timeout(limits.timeout, permit).await.map_err(|_| ConnectError::Busy)?
            }
        };
        let connected = within(limits.timeout, self.connector.connect_http1(Some(permit))).await?;
        self.adopt(own, connected)
    }

    /// Waits for room for a new connection; better still, for one that another
    /// thread keeps.
    async fn room(&self, own: usize, limits: PoolLimits, fresh: bool) -> Result<Room, ConnectError> {
        let find = || {
            let kept = self.kept.steal(own).map(Room::Checkout).filter(|_| !fresh);
            kept.or_else(|| self.kept.limit.take(limits.connections).map(Room::ConnectionPermit))
        };
        loop {
            let room = tokio::time::timeout(limits.timeout, self.kept.limit.wait(find)).await;
            match room.map_err(|_| ConnectError::Busy)? {
                Room::Checkout(mut found) => {
                    if found.connection.is_ready().await {
                        return Ok(Room::Checkout(found));
                    }
                }
                permit @ Room::ConnectionPermit(_) => return Ok(permit),
            }
        }
    }

    fn adopt(&self, own: usize, connected: NewConnection) -> Result<Checkout, ConnectError> {
        let connection = match connected {
            NewConnection::Http1(sender) => {
                // Elsewhere tasks move, and no thread is better than another.
                let stays = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
                Connection::Http1(Http1 { sender, home: stays.then_some(own) })
            }
            NewConnection::Http2(connection) => {
                let reset = || ConnectError::Io(io::ErrorKind::ConnectionReset.into());
                let stream = connection.stream().ok_or_else(reset)?;
                self.kept.share(own, connection);
                Connection::Http2(stream)
            }
        };
        Ok(Checkout { connection, unused: None })
    }

    /// The connection in use, until the response is over.
    pub(super) fn lease(
        &self,
        connection: Connection,
        body: Option<Arc<StallDetector>>,
        owed: Option<ContinueGuard>,
    ) -> Lease {
        Lease { connection, kept: Arc::clone(&self.kept), body, owed }
    }
}

async fn within(
    limit: Duration,
    connect: impl Future<Output = io::Result<NewConnection>>,
) -> Result<NewConnection, ConnectError> {
    match tokio::time::timeout(limit, connect).await {
        Ok(connected) => connected.map_err(ConnectError::Io),
        Err(_) => Err(ConnectError::Timeout),
    }
}

enum Room {
    ConnectionPermit(ConnectionPermit),
    Checkout(Checkout),
}

impl Lease {
    /// The response is over: the connection waits for its next request.
    pub(super) fn give_back(self) {
        let Self { connection, kept, body, owed } = self;
        let mut connection = match connection {
            Connection::Http1(connection) => connection,
            Connection::Http2(stream) => {
                let Some(body) = body.filter(|body| !body.is_over()) else {
                    drop(stream);
                    return kept.limit.free();
                };
                tokio::spawn(async move {
                    body.end_once_stalled(SETTLE).await;
                    drop(stream);
                    kept.limit.free();
                });
                return;
            }
        };
        let Some(body) = body else { return kept.put(connection) };
        // The app did not want the body, and the client may not have sent it.
        if owed.is_some_and(|owed| !owed.is_wanted()) {
            return;
        }
        // An app may answer before it has read all of an upload. The rest still
        // has to pass, or the connection is of no more use; and one that does not
        // move must not hold its place.
        tokio::spawn(async move {
            body.note();
            match body.watch(connection.sender.ready(), SETTLE).await {
                Some(Ok(())) => kept.put(connection),
                Some(Err(_)) => {}
                None => body.finish(),
            }
        });
    }
}

impl Kept {
    fn take(&self, index: usize) -> Option<Checkout> {
        let found = |connection, unused| Checkout { connection, unused: Some(unused) };
        if let Some(stream) = self.stream(index) {
            return Some(found(Connection::Http2(stream), Duration::ZERO));
        }
        let (connection, unused) = self.shards.get(index)?.take()?;
        Some(found(Connection::Http1(connection), unused))
    }

    /// Room on a connection that carries many.
    fn stream(&self, index: usize) -> Option<Stream> {
        let mut shared = self.shards.get(index)?.shared();
        // What is still open on those that are done goes on without us.
        shared.retain(|connection| !connection.is_closed());
        shared.iter().find_map(Http2::stream)
    }

    /// What any shard but `own` keeps; and at last `own`.
    fn steal(&self, own: usize) -> Option<Checkout> {
        (1..=SHARDS).find_map(|step| self.take((own + step) % SHARDS))
    }

    fn put(&self, connection: Http1) {
        if connection.sender.is_closed() {
            return;
        }
        if let Some(shard) = self.shards.get(connection.home.unwrap_or_else(own_shard)) {
            shard.put(connection);
        }
        self.limit.free();
    }

    fn share(&self, index: usize, connection: Http2) {
        if let Some(shard) = self.shards.get(index) {
            shard.shared().push(connection);
        }
        self.limit.free();
    }
}

impl Shard {
    fn idle(&self) -> MutexGuard<'_, VecDeque<(Http1, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> MutexGuard<'_, Vec<Http2>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The freshest connection that is not known to be closed, and how long it
    /// was unused.
    fn take(&self) -> Option<(Http1, Duration)> {
        let mut idle = self.idle();
        while let Some((connection, since)) = idle.pop_back() {
            let unused = since.elapsed();
            if unused >= IDLE_LIFE {
                // Those in front are older still.
                idle.clear();
                return None;
            }
            if !connection.sender.is_closed() {
                return Some((connection, unused));
            }
        }
        None
    }

    fn put(&self, connection: Http1) {
        let mut idle = self.idle();
        if idle.len() >= MAX_IDLE {
            idle.pop_front();
        }
        idle.push_back((connection, Instant::now()));
    }
}

impl Connection {
    /// Waits the moment that the connection needs to be done with the last
    /// request; `false` if it is of no more use.
    async fn is_ready(&mut self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_ready().await,
            Self::Http2(_) => true,
        }
    }
}

impl Http1 {
    async fn is_ready(&mut self) -> bool {
        self.sender.is_ready()
            || matches!(tokio::time::timeout(SETTLE, self.sender.ready()).await, Ok(Ok(())))
    }
}

/// The shard of this thread.
fn own_shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<Option<usize>> = const { Cell::new(None) };
    }
    OWN.with(|own| {
        own.get().unwrap_or_else(|| {
            let index = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
            own.set(Some(index));
            index
        })
    })
}
