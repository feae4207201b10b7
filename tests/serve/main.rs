//! `huggate serve` as a process: signals, files that change, what the system lends
//! it, and the end.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

// A process, its log, an app behind it.
mod world;

mod file_descriptors;
mod reload;
mod shutdown;
