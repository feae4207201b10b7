//! The connection pool of one upstream: reuses idle connections and opens new ones.
//!
//! It replaces a general client's pool, which costs more per request than the whole
//! gate.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, RuntimeFlavor};

use super::address::UpstreamUrl;
use super::connection::{Checkout, Connection, Http1Connection};
use super::connection_limit::ConnectionPermit;
use super::connector::{Connector, NewConnection};
use super::expect_continue::ContinueGuard;
use super::idle_connections::{IdleConnections, current_shard};
use super::lease::Lease;
use super::stall_detector::StallDetector;

/// The connections to one upstream.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Connector,
    idle: Arc<IdleConnections>,
}

/// The limits for a checkout.
#[derive(Debug, Clone, Copy)]
pub(super) struct PoolLimits {
    /// For opening a connection, and before that for waiting for a permit.
    pub(super) connect_timeout: Duration,
    /// The most open connections to one endpoint.
    pub(super) max_connections: usize,
    /// How long a connection is kept without a request.
    pub(super) idle_timeout: Duration,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum ConnectError {
    Timeout,
    /// The limit is reached, and no connection became available in time.
    Busy,
    Io(io::Error),
}

/// Ends the wait for the connection limit.
enum Capacity {
    Permit(ConnectionPermit),
    Connection(Checkout),
}

impl Pool {
    pub(super) fn new(connector: Connector) -> Self {
        Self { connector, idle: Arc::new(IdleConnections::new()) }
    }

    pub(super) fn url(&self) -> &UpstreamUrl {
        self.connector.url()
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.connector
    }

    /// An idle connection that is ready, or a new one. `fresh` skips the idle ones.
    pub(super) async fn checkout(&self, limits: PoolLimits, fresh: bool) -> Result<Checkout, ConnectError> {
        let shard = current_shard();
        self.idle.set_idle_timeout(limits.idle_timeout);
        if !fresh {
            while let Some(mut checkout) = self.idle.checkout(shard) {
                if checkout.connection.is_ready().await {
                    return Ok(checkout);
                }
            }
        }
        // Boxed: opening a connection, with TLS above all, needs a far larger future
        // than a checkout, and it would be moved with every request.
        Box::pin(self.open(shard, limits, fresh)).await
    }

    /// A new connection, or a stream on one that was opened meanwhile.
    async fn open(&self, index: usize, limits: PoolLimits, fresh: bool) -> Result<Checkout, ConnectError> {
        if !self.connector.may_multiplex() {
            return self.connect(index, limits, fresh).await;
        }
        let Some(shard) = self.idle.shard(index) else { return Err(ConnectError::Busy) };
        let connecting = tokio::time::timeout(limits.connect_timeout, shard.connecting.lock());
        // The request that holds the lock reports why it cannot connect; this one only
        // waited for it.
        let connecting = connecting.await.map_err(|_| ConnectError::Busy)?;
        // It may have opened a connection that this request can share.
        if let Some(stream) = self.idle.open_stream(index).filter(|_| !fresh) {
            return Ok(Checkout { connection: Connection::Http2(stream), idle_for: Some(Duration::ZERO) });
        }
        if !self.connector.may_multiplex() {
            drop(connecting);
        }
        self.connect(index, limits, fresh).await
    }

    async fn connect(&self, shard: usize, limits: PoolLimits, fresh: bool) -> Result<Checkout, ConnectError> {
        let permit = match self.idle.limit().try_acquire(limits.max_connections) {
            Some(permit) => permit,
            None => match self.wait_for_capacity(shard, limits, fresh).await? {
                Capacity::Permit(permit) => permit,
                Capacity::Connection(checkout) => return Ok(checkout),
            },
        };
        let connecting = self.connector.connect(Some(permit));
        self.adopt(shard, with_timeout(limits.connect_timeout, connecting).await?)
    }

    /// A dedicated HTTP/1.1 connection, for a WebSocket.
    pub(super) async fn checkout_http1(&self, limits: PoolLimits) -> Result<Checkout, ConnectError> {
        let shard = current_shard();
        let limit = self.idle.limit();
        let permit = match limit.try_acquire(limits.max_connections) {
            Some(permit) => permit,
            None => {
                let permit = limit.wait_for(|| {
                    self.idle.close_one(shard);
                    limit.try_acquire(limits.max_connections)
                });
                tokio::time::timeout(limits.connect_timeout, permit).await.map_err(|_| ConnectError::Busy)?
            }
        };
        let connecting = self.connector.connect_http1(Some(permit));
        self.adopt(shard, with_timeout(limits.connect_timeout, connecting).await?)
    }

    /// Waits for an idle connection of any thread, or for a permit to open one.
    async fn wait_for_capacity(
        &self,
        shard: usize,
        limits: PoolLimits,
        fresh: bool,
    ) -> Result<Capacity, ConnectError> {
        let limit = self.idle.limit();
        let acquire = || {
            let idle = if fresh {
                self.idle.close_one(shard);
                None
            } else {
                self.idle.steal(shard).map(Capacity::Connection)
            };
            idle.or_else(|| limit.try_acquire(limits.max_connections).map(Capacity::Permit))
        };
        tracing::debug!(upstream.address = %self.url(), "all connections to the upstream are in use; a request waits");
        loop {
            let capacity = tokio::time::timeout(limits.connect_timeout, limit.wait_for(acquire)).await;
            match capacity.map_err(|_| ConnectError::Busy)? {
                Capacity::Connection(mut checkout) => {
                    // One notification may stand for several streams: the next request
                    // looks for another one.
                    limit.notify_waiting();
                    if checkout.connection.is_ready().await {
                        return Ok(Capacity::Connection(checkout));
                    }
                }
                permit @ Capacity::Permit(_) => return Ok(permit),
            }
        }
    }

    /// Takes a new connection into the pool.
    fn adopt(&self, shard: usize, connection: NewConnection) -> Result<Checkout, ConnectError> {
        let connection = match connection {
            NewConnection::Http1(sender) => {
                // On a multi-threaded runtime the connection's task has no thread of its
                // own, and any shard will do.
                let is_pinned = Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
                Connection::Http1(Http1Connection { sender, home_shard: is_pinned.then_some(shard) })
            }
            NewConnection::Http2(connection) => {
                let reset = || ConnectError::Io(io::ErrorKind::ConnectionReset.into());
                let stream = connection.open_stream().ok_or_else(reset)?;
                self.idle.share(shard, connection);
                Connection::Http2(stream)
            }
        };
        Ok(Checkout { connection, idle_for: None })
    }

    /// The connection in use, from the head of its response to the end.
    pub(super) fn lease(
        &self,
        connection: Connection,
        upload: Option<Arc<StallDetector>>,
        expect: Option<ContinueGuard>,
    ) -> Lease {
        Lease::new(connection, Arc::clone(&self.idle), upload, expect)
    }
}

async fn with_timeout(
    limit: Duration,
    connecting: impl Future<Output = io::Result<NewConnection>>,
) -> Result<NewConnection, ConnectError> {
    match tokio::time::timeout(limit, connecting).await {
        Ok(connected) => connected.map_err(ConnectError::Io),
        Err(_) => Err(ConnectError::Timeout),
    }
}
