//! A connection in use, and its return to the pool.

use std::pin::pin;
use std::sync::Arc;

use super::connection::{Connection, READY_TIMEOUT};
use super::expect_continue::ContinueGuard;
use super::idle_connections::IdleConnections;
use super::stall_detector::StallDetector;

/// A connection in use. Dropped without [`release`](Self::release), it is closed.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Connection,
    idle: Arc<IdleConnections>,
    /// The request body, if there is one: it may still be on its way when the response
    /// is complete.
    upload: Option<Arc<StallDetector>>,
    /// Present if the request came with `Expect: 100-continue`.
    expect: Option<ContinueGuard>,
}

impl Lease {
    /// Leases the connection from the final response's head on.
    pub(super) fn new(
        connection: Connection,
        idle: Arc<IdleConnections>,
        upload: Option<Arc<StallDetector>>,
        expect: Option<ContinueGuard>,
    ) -> Self {
        if let Some(expect) = &expect {
            expect.answered();
        }
        Self { connection, idle, upload, expect }
    }

    /// Returns the connection to the pool, once its response is complete.
    pub(super) fn release(self) {
        let Self { connection, idle, upload, expect } = self;
        let mut connection = match connection {
            Connection::Http1(connection) => connection,
            Connection::Http2(stream) => {
                let Some(upload) = upload.filter(|upload| !upload.is_closed()) else { return };
                tokio::spawn(async move {
                    let stalled = pin!(upload.close_when_stalled(READY_TIMEOUT));
                    if upload.grant().unless_ended(stalled).await.is_none() {
                        upload.close();
                    }
                    drop(stream);
                });
                return;
            }
        };
        let Some(upload) = upload else { return idle.release(connection) };
        // The app did not ask for the body, and the client may not have sent it.
        if expect.is_some_and(|expect| !expect.is_continued()) {
            return;
        }
        // The app may answer before it has read the whole body. The rest has to be sent
        // before the connection can be reused; an upload that stalls closes it, and
        // so does the end of its permission, which nothing else observes any more.
        tokio::spawn(async move {
            upload.record_progress();
            let ready = upload.run_until_stalled(connection.sender.ready(), READY_TIMEOUT);
            let ready = upload.grant().unless_ended(pin!(ready)).await;
            match ready.flatten() {
                Some(Ok(())) => idle.release(connection),
                Some(Err(_)) => {}
                None => upload.close(),
            }
        });
    }
}
