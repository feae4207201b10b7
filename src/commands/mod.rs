//! What the program can do, one file or folder for each command. Commands
//! return what is to be printed; long-running ones hand it to [`say`].

pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
mod demo_app;
pub(crate) mod explain;
mod failure;
mod file_descriptors;
pub(crate) mod hub;
mod listen;
mod output;
mod reload;
mod runtime;
pub(crate) mod secret;
pub(crate) mod serve;
mod shutdown;
mod systemd;

pub(crate) use failure::Failure;
pub(crate) use runtime::runtime;
