//! The connection of the client.

mod connections;
mod forwarded;
mod half_close;
mod http1;
mod limits;
