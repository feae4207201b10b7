//! Sessions in one file, which survive the process.
//!
//! | file | |
//! |---|---|
//! | `opening` | locks the file, checks what it is, makes it |
//! | `backend` | the file as redb reads and writes it |
//! | `tables`, `encoding` | what is in it, and what changes |
//! | `writer` | the thread that writes |
//! | `database` | what that thread writes and the callers read |

mod backend;
mod database;
mod encoding;
mod error;
#[cfg(test)]
mod faults;
mod opening;
mod store;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

pub use error::FileStoreError;
pub use store::FileStore;
