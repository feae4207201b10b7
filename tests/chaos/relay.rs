//! A TCP proxy between a replica and Redis, for faults of the network between them.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// What the relay does with bytes and connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Pass,
    /// Connections are closed, and new ones as well.
    Cut,
    /// Connections stay open, and nothing passes: a network that drops packets.
    Stall,
    /// Everything arrives so much later.
    Delay(Duration),
}

/// It ends when it is dropped.
pub(crate) struct Relay {
    pub(crate) address: String,
    mode: watch::Sender<Mode>,
    task: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn start(to: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (mode, watched) = watch::channel(Mode::Pass);
        let to = to.to_owned();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                if *watched.borrow() == Mode::Cut {
                    continue;
                }
                let (to, watched) = (to.clone(), watched.clone());
                tokio::spawn(async move {
                    let Ok(far) = TcpStream::connect(&to).await else { return };
                    let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                    // The end of one direction closes both.
                    tokio::select! {
                        () = forward(from_near, to_far, watched.clone()) => {}
                        () = forward(from_far, to_near, watched) => {}
                    }
                });
            }
        });
        Self { address, mode, task }
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Bytes, and when they may pass.
type Chunk = (Instant, Vec<u8>);

/// Reads and writes are apart, so that a delay delays everything equally.
async fn forward(from: OwnedReadHalf, to: OwnedWriteHalf, mode: watch::Receiver<Mode>) {
    let (chunks, held) = mpsc::channel(1024);
    let mut cut = mode.clone();
    tokio::select! {
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
        () = read(from, chunks, mode.clone()) => {}
        () = write(held, to, mode) => {}
    }
}

async fn read(mut from: OwnedReadHalf, chunks: mpsc::Sender<Chunk>, mode: watch::Receiver<Mode>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let delay = match *mode.borrow() {
            Mode::Delay(delay) => delay,
            Mode::Pass | Mode::Cut | Mode::Stall => Duration::ZERO,
        };
        if chunks.send((Instant::now() + delay, buffer[..length].to_vec())).await.is_err() {
            return;
        }
    }
}

async fn write(mut chunks: mpsc::Receiver<Chunk>, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    while let Some((due, chunk)) = chunks.recv().await {
        sleep_until(due).await;
        if mode.wait_for(|mode| *mode != Mode::Stall).await.is_err() || to.write_all(&chunk).await.is_err() {
            return;
        }
    }
}
