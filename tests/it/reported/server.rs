//! The connection of the client.

mod connections;
mod forwarded;
mod half_close;
mod http1;
mod http2_requests;
mod limits;
