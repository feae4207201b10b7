//! `huggate serve` as a process: signals, reloads, inherited sockets, shutdown.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails says where")]

// The process, its log, and the app behind it.
mod world;

// The servers of the tests of the Redis store.
#[path = "../redis/redis_server.rs"]
#[expect(
    dead_code,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "its other users start sentinels and clusters; a test that fails says where"
)]
mod redis_server;

mod commands;
mod file_descriptors;
mod reload;
mod sessions;
mod shutdown;
mod stores;
