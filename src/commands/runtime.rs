//! The tokio runtimes of commands.

use tokio::runtime::Runtime;

use super::failure::Failure;

/// The runtime of a command: all cores.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Run(format!("the runtime cannot be started: {error}")))
}

/// The runtime of a command whose work is done by threads of its own.
pub(super) fn current_thread_runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Run(format!("the runtime cannot be started: {error}")))
}
