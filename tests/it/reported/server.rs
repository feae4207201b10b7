//! The connection of the client.

mod connections;
mod forwarded;
