//! The connection of the client.

mod forwarded;
