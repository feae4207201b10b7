//! The store in Redis, with real servers.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test that fails says where"
)]

mod redis_server;

mod cluster;
mod conformance;
mod failover;
mod faults;
mod load;
mod sessions;
mod settings;
mod storage;
mod users;
