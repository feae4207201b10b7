//! The log: its format, its filter, where it goes.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::exhaustive_enums, reason = "both ways there are")]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts writing to standard error. `filter` is a level, or `target=level` pairs;
/// `info` unless given.
///
/// # Errors
/// A sentence, if the filter cannot be read or something else writes logs already.
pub fn init(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    let filter = filter.unwrap_or("info");
    // It warns of what any client can send.
    let quiet = if filter.contains("h2") { filter.to_owned() } else { format!("{filter},h2=error") };
    let filter = EnvFilter::try_new(quiet).map_err(|error| format!("HUGGATE_LOG: {filter:?}: {error}"))?;
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let started = match format {
        LogFormat::Pretty => logs.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => logs.json().flatten_event(true).with_target(true).try_init(),
    };
    started.map_err(|error| format!("logs cannot be started: {error}"))
}
