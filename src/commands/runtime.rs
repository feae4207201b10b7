//! Tokio runtimes.

use tokio::runtime::Runtime;

use super::failure::Failure;

/// A multi-threaded runtime.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Run(format!("the tokio runtime cannot be started: {error}")))
}

/// A single-threaded runtime, for commands that have threads of their own.
pub(super) fn current_thread_runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Run(format!("the tokio runtime cannot be started: {error}")))
}
