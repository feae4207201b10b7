//! Serves connections on worker threads, each with a runtime of its own, or on the
//! current runtime.
//!
//! A connection stays on its thread, and so do the tasks and upstream connections of its
//! requests, so no request moves between cores. A new connection goes to the worker with
//! the fewest.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::Connection;
use super::socket::{DetachedSocket, Socket};
use crate::client::RequestContext;

/// The workers that serve connections with `S`.
pub(super) struct Workers<S> {
    kind: Kind<S>,
    tasks: TaskTracker,
}

enum Kind<S> {
    Current { service: S, load: Arc<AtomicUsize> },
    Threads { threads: Vec<Worker>, stop: CancellationToken },
}

struct Worker {
    load: Arc<AtomicUsize>,
    queue: UnboundedSender<(Connection, DetachedSocket)>,
    thread: JoinHandle<()>,
}

/// The worker chosen for a connection.
pub(super) struct WorkerIndex(usize);

impl<S, F, B> Workers<S>
where
    S: Fn(Request<Incoming>, RequestContext) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Starts worker threads. With none, connections are served on the runtime that
    /// calls [`serve`](Self::serve).
    pub(super) fn start(threads: usize, tasks: &TaskTracker, service: S) -> io::Result<Self> {
        let tasks = tasks.clone();
        if threads == 0 {
            return Ok(Self { kind: Kind::Current { service, load: Arc::default() }, tasks });
        }
        let stop = CancellationToken::new();
        let workers = (1..=threads).map(|number| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (queue, arrivals) = unbounded_channel();
            let (service, tasks, stop) = (service.clone(), tasks.clone(), stop.clone());
            let thread = std::thread::Builder::new().name(format!("huggate-{number}")).spawn(move || {
                runtime.block_on(work(arrivals, service, tasks, stop));
                // Does not wait for DNS lookups, which block threads.
                runtime.shutdown_background();
            })?;
            Ok(Worker { load: Arc::default(), queue, thread })
        });
        let threads = workers.collect::<io::Result<_>>()?;
        Ok(Self { kind: Kind::Threads { threads, stop }, tasks })
    }

    /// The worker with the fewest connections, and the counter of them.
    pub(super) fn least_loaded(&self) -> (WorkerIndex, Arc<AtomicUsize>) {
        match &self.kind {
            Kind::Current { load, .. } => (WorkerIndex(0), Arc::clone(load)),
            Kind::Threads { threads, .. } => {
                let count = |worker: &Worker| worker.load.load(Ordering::Relaxed);
                let least = threads.iter().enumerate().min_by_key(|(_, worker)| count(worker));
                let (index, load) =
                    least.map(|(index, worker)| (index, Arc::clone(&worker.load))).unwrap_or_default();
                (WorkerIndex(index), load)
            }
        }
    }

    /// Serves a connection on a worker.
    pub(super) fn serve(&self, worker: &WorkerIndex, connection: Connection, socket: Socket) {
        match &self.kind {
            Kind::Current { service, .. } => {
                self.tasks.spawn(connection.serve(socket, service.clone()));
            }
            Kind::Threads { threads, .. } => match (socket.detach(), threads.get(worker.0)) {
                (Ok(detached), Some(worker)) => {
                    // Workers are only stopped after the accept loop has ended.
                    let _ = worker.queue.send((connection, detached));
                }
                (Err(error), _) => {
                    tracing::debug!(%error, "a client disconnected before its connection was served")
                }
                (_, None) => {}
            },
        }
    }

    /// Stops the threads, and the tasks that still run on them.
    pub(super) async fn stop(self) {
        let Kind::Threads { threads, stop } = self.kind else { return };
        stop.cancel();
        let _ = tokio::task::spawn_blocking(move || {
            for worker in threads {
                drop(worker.queue);
                let _ = worker.thread.join();
            }
        })
        .await;
    }
}

/// Serves the connections that the accept loop sends to this thread.
async fn work<S, F, B>(
    mut arrivals: UnboundedReceiver<(Connection, DetachedSocket)>,
    service: S,
    tasks: TaskTracker,
    stop: CancellationToken,
) where
    S: Fn(Request<Incoming>, RequestContext) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    loop {
        let (connection, detached) = tokio::select! {
            arrived = arrivals.recv() => match arrived {
                Some(arrived) => arrived,
                None => return stop.cancelled().await,
            },
            () = stop.cancelled() => return,
        };
        match detached.attach() {
            Ok(socket) => {
                tasks.spawn(connection.serve(socket, service.clone()));
            }
            Err(error) => tracing::warn!(%error, "a connection could not be moved to its worker"),
        }
    }
}
