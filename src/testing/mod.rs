//! Tests for what embedders bring.

mod store;

pub use store::store_conformance;
