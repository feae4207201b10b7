//! What the program can do, one file or folder for each command. Commands
//! return what is to be printed; long-running ones hand it to [`say`].

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
mod demo_app;
mod descriptors;
pub(crate) mod explain;
pub(crate) mod hub;
mod reload;
pub(crate) mod secret;
pub(crate) mod serve;

use std::io::Write;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Why a command failed, and so its exit status.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration or the arguments: 2.
    Configuration(String),
    /// Everything else: 1.
    Run(String),
}

/// Prints while a command runs.
fn say(text: &str) {
    // Whoever closed our output does not want to read on.
    let _ = write!(std::io::stdout(), "{text}");
    let _ = std::io::stdout().flush();
}

/// The runtime of a command: all cores.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Run(format!("the runtime cannot be started: {error}")))
}

/// The runtime of a command whose work is done by threads of its own.
fn quiet_runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Run(format!("the runtime cannot be started: {error}")))
}

/// Listens, or says why not and what to do.
async fn listen(addr: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(addr).await.map_err(|error| why_not(&addr, &error))
}

/// Why nobody can listen at `address`, and what to do.
fn why_not(address: &dyn std::fmt::Display, error: &std::io::Error) -> Failure {
    let hint = match error.kind() {
        std::io::ErrorKind::AddrInUse => "; something else listens there: stop it, or choose another address",
        std::io::ErrorKind::PermissionDenied => "; ports below 1024 are for root: choose a higher one",
        std::io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        std::io::ErrorKind::NotFound => "; its folder does not exist",
        _ => "",
    };
    Failure::Run(format!("cannot listen on {address}: {error}{hint}"))
}

/// Waits for what does not come.
async fn never() {
    std::future::pending().await
}

/// Waits until somebody asks for the end: SIGTERM, or Ctrl-C.
async fn asked_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminate.recv() => {}
            }
        }
        // Without SIGTERM there still is Ctrl-C; if that fails too, stop at once
        // rather than never.
        Err(_) => drop(interrupted.await),
    }
}
