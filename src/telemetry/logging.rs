//! Logging: format, filter, destination.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// The log format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object per line.
    Json,
}

/// Starts logging to standard error. `filter` is a level, or `target=level` pairs; the default
/// is `info`.
///
/// # Errors
/// If the filter is invalid, or a logger is installed already.
pub fn init(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    let filter = filter.unwrap_or("info");
    // h2 logs warnings that any client can cause.
    let quiet = if filter.contains("h2") { filter.to_owned() } else { format!("{filter},h2=error") };
    let filter = EnvFilter::try_new(quiet).map_err(|error| format!("HUGGATE_LOG: {filter:?}: {error}"))?;
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match format {
        LogFormat::Pretty => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).with_target(true).try_init(),
    };
    started.map_err(|error| format!("logging cannot be started: {error}"))
}
