//! Tests over real sockets, one binary.
#![cfg(feature = "hub")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that fails says where")]

mod hub;
