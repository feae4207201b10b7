//! Why a command failed.

/// Why a command failed, and so its exit status.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The configuration or the arguments: 2.
    Configuration(String),
    /// Everything else: 1.
    Run(String),
}
