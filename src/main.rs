//! The program.

mod commands;

fn main() {}
