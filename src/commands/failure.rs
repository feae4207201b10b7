//! Why a command failed.

/// Why a command failed; determines the exit status.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Invalid configuration or arguments: 2.
    Configuration(String),
    /// Other failures: 1.
    Run(String),
}
