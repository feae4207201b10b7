//! The program's commands, one file or folder each. Commands return their output; long-running
//! ones use [`print`](output::print).

mod admin;
pub(crate) mod check;
mod check_online;
pub(crate) mod completions;
pub(crate) mod demo;
mod demo_app;
pub(crate) mod explain;
mod failure;
mod file_descriptors;
pub(crate) mod hub;
mod listen;
mod loopback;
mod output;
mod reload;
mod runtime;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod sessions;
mod shutdown;
mod systemd;

pub(crate) use failure::Failure;
pub(crate) use runtime::runtime;
