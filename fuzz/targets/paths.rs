#![no_main]

//! For any request target: if it is allowed as public, it is public to every server
//! behind the gate and is forwarded byte for byte.

#[path = "../../tests/it/servers.rs"]
mod servers;
#[path = "../../tests/it/tables.rs"]
mod tables;

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use tables::{Outcome, Table};

/// The first byte of an input selects one of these; the rest is the target.
static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    vec![
        Table::new(&[("/admin/**", false), ("/settings", false), ("/**", true)]),
        Table::new(&[("/public/**", true), ("/status", true), ("/admin/**", false)]),
        Table::new(&[("/a/b/**", false), ("/a/**", true), ("/b", true), ("/", true), ("/Docs/**", false)]),
        Table::new(&[("/a/b/**", true), ("/a/**", false), ("/**", true)]),
    ]
});

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some((choice, target)) = input.split_first() else { return Corpus::Reject };
    // The `http` crate's handling of targets that are not UTF-8 has tests of its own.
    let Ok(target) = std::str::from_utf8(target) else { return Corpus::Reject };
    let table = &TABLES[usize::from(*choice) % TABLES.len()];
    match table.send(target) {
        Ok(Outcome::NoTarget) => Corpus::Reject,
        Ok(Outcome::Passed | Outcome::Refused(_)) => Corpus::Keep,
        Err(what) => panic!("{what}"),
    }
});
