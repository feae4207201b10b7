//! Who serves connections: threads with a runtime each, or the runtime at hand.
//!
//! A connection stays with the thread it was given to, and so do the tasks and
//! the upstream connections of its requests: nothing is handed from core to core
//! on a request's way. New ones go to whoever has the fewest, so that a few busy
//! connections use all cores.

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
use super::listener::{Accepted, Detached};

/// Those that serve connections with `S`.
pub(super) struct Workers<S> {
    kind: Kind<S>,
    tasks: TaskTracker,
}

enum Kind<S> {
    Here { service: S, load: Arc<AtomicUsize> },
    Threads { threads: Vec<Worker>, end: CancellationToken },
}

struct Worker {
    load: Arc<AtomicUsize>,
    queue: UnboundedSender<(Connection, Detached)>,
    thread: JoinHandle<()>,
}

/// One of them, chosen for a connection.
pub(super) struct WorkerIndex(usize);

impl<S, F, B> Workers<S>
where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Starts so many threads; without any, connections are served where
    /// [`give`](Self::give) is called.
    pub(super) fn start(threads: usize, tasks: &TaskTracker, service: S) -> io::Result<Self> {
        let tasks = tasks.clone();
        if threads == 0 {
            return Ok(Self { kind: Kind::Here { service, load: Arc::default() }, tasks });
        }
        let end = CancellationToken::new();
        let workers = (1..=threads).map(|number| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let (queue, arrivals) = unbounded_channel();
            let (service, tasks, end) = (service.clone(), tasks.clone(), end.clone());
            let thread = std::thread::Builder::new().name(format!("huggate-{number}")).spawn(move || {
                runtime.block_on(work(arrivals, service, tasks, end));
                // Names that are being resolved would hold it up.
                runtime.shutdown_background();
            })?;
            Ok(Worker { load: Arc::default(), queue, thread })
        });
        let threads = workers.collect::<io::Result<_>>()?;
        Ok(Self { kind: Kind::Threads { threads, end }, tasks })
    }

    /// Whoever has the fewest connections now, and the count of them.
    pub(super) fn least(&self) -> (WorkerIndex, Arc<AtomicUsize>) {
        match &self.kind {
            Kind::Here { load, .. } => (WorkerIndex(0), Arc::clone(load)),
            Kind::Threads { threads, .. } => {
                let count = |worker: &Worker| worker.load.load(Ordering::Relaxed);
                let least = threads.iter().enumerate().min_by_key(|(_, worker)| count(worker));
                let (index, load) =
                    least.map(|(index, worker)| (index, Arc::clone(&worker.load))).unwrap_or_default();
                (WorkerIndex(index), load)
            }
        }
    }

    /// Has a connection served.
    pub(super) fn give(&self, chosen: &WorkerIndex, connection: Connection, accepted: Accepted) {
        match &self.kind {
            Kind::Here { service, .. } => {
                self.tasks.spawn(connection.run(accepted.into_socket(), service.clone()));
            }
            Kind::Threads { threads, .. } => match (accepted.detach(), threads.get(chosen.0)) {
                (Ok(detached), Some(worker)) => {
                    // A worker ends only after the last connection was given.
                    let _ = worker.queue.send((connection, detached));
                }
                (Err(error), _) => tracing::debug!(%error, "a client left at once"),
                (_, None) => {}
            },
        }
    }

    /// Ends the threads, and whatever still runs on them.
    pub(super) async fn end(self) {
        let Kind::Threads { threads, end } = self.kind else { return };
        end.cancel();
        let _ = tokio::task::spawn_blocking(move || {
            for worker in threads {
                drop(worker.queue);
                let _ = worker.thread.join();
            }
        })
        .await;
    }
}

async fn work<S, F, B>(
    mut arrivals: UnboundedReceiver<(Connection, Detached)>,
    service: S,
    tasks: TaskTracker,
    end: CancellationToken,
) where
    S: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    loop {
        let (connection, detached) = tokio::select! {
            arrived = arrivals.recv() => match arrived {
                Some(arrived) => arrived,
                None => return end.cancelled().await,
            },
            () = end.cancelled() => return,
        };
        match detached.attach() {
            Ok(socket) => {
                tasks.spawn(connection.run(socket, service.clone()));
            }
            Err(error) => tracing::warn!(%error, "a connection could not be taken over"),
        }
    }
}
