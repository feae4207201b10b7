//! `huggate serve` as a process: signals, reloads, inherited sockets, shutdown.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

// The process, its log, and the app behind it.
mod world;

mod commands;
mod file_descriptors;
mod reload;
mod sessions;
mod shutdown;
