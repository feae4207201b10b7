//! README and docs agree with the program: links lead somewhere, commands and
//! flags exist, configurations load, snippets are parts of programs that are
//! tested, and answers are those of a running gate.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails says where"
)]

// The pages, and what is on them.
mod pages;

// What the pages say.
mod answers;
mod commands;
mod links;
mod reference;
mod snippets;

// A gate to sign in at.
mod world;

// The programs that the pages refer to.
mod examples;
mod explain;
mod verify;
