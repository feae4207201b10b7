//! Why a command failed.

use std::error::Error;

/// Why a command failed; determines the exit status.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Invalid configuration or arguments: 2.
    Configuration(String),
    /// Other failures: 1.
    Run(String),
}

impl Failure {
    /// A failure of the configuration, with its causes.
    pub(crate) fn configuration(error: &(dyn Error + 'static)) -> Self {
        Self::Configuration(with_causes(error))
    }

    /// Another failure, with its causes.
    pub(crate) fn run(error: &(dyn Error + 'static)) -> Self {
        Self::Run(with_causes(error))
    }
}

/// An error and its sources in one line. An error's own text does not repeat that of its source.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let sources = std::iter::successors(Some(error), |&error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
