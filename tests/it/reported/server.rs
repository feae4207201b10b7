//! The connection of the client.
