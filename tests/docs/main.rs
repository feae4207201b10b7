//! The README keeps its word: its configurations load, its snippets are the
//! files they come from, and what they do is tried against a running gate.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

// What stands in the text.
mod text;

// A gate to sign in at.
mod world;

// The programs the text points to.
mod examples;
mod explain;
mod verify;
