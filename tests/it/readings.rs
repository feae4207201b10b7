//! Paths that are allowed as public are public to every server behind the gate.

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::tables::{Outcome, Table};

/// Patterns from which tables are built, in any order.
const PATTERNS: &[&str] = &[
    "/**",
    "/public/**",
    "/public/a/**",
    "/public/b",
    "/a/**",
    "/a/b/**",
    "/a",
    "/admin/**",
    "/admin",
    "/admin/b",
    "/",
    "/b",
    "/Docs/**",
    "/docs/a",
    "/caf\u{e9}/**",
    "/b.php",
    "/a/admin/**",
];

/// Parts of which targets are built.
const PIECES: &[&str] = &[
    "/",
    "/",
    "/",
    "/",
    "public",
    "public",
    "admin",
    "admin",
    "a",
    "b",
    "x",
    "docs",
    "Docs",
    "ADMIN",
    "caf%C3%A9",
    "oauth2",
    "start",
    ".",
    "..",
    "../",
    "/..",
    "%2e",
    "%2E%2e",
    "..%2f",
    "%2e%2e/",
    "%2e%2e/",
    "/%2e%2e",
    "x%2fx",
    "%2f",
    "%2F",
    "%252f",
    "%255c",
    "%5c",
    "\\",
    "%25",
    "%252e",
    ";",
    ";x=1",
    "..;",
    "%3b",
    "%00",
    "%3f",
    "%23",
    "%20",
    "%09",
    "%0a",
    "%0d",
    "%a0",
    "%c2%85",
    "%e3%80%80",
    "%c0%af",
    "%e0%80%af",
    "%u002e",
    "%u002f",
    "%u0061",
    "%61",
    "%2561",
    "%%32%66",
    "(S(x))",
    "/(S(x))",
    "/(A(x)F(y))",
    "::$INDEX_ALLOCATION",
    ":$",
    "$",
    "?",
    "//",
    "///",
    "%",
    "+",
    "*",
    "~",
    "=",
    "@",
    ".php",
    "/x",
];

/// Everything except one folder.
static OPEN: LazyLock<Table> = LazyLock::new(|| Table::new(&[("/admin/**", false), ("/**", true)]));

fn tables() -> impl Strategy<Value = Vec<(&'static str, bool)>> {
    subsequence(PATTERNS, 1..7).prop_shuffle().prop_flat_map(|patterns| {
        let open = vec(any::<bool>(), patterns.len());
        open.prop_map(move |open| patterns.iter().copied().zip(open).collect())
    })
}

/// Below a folder with routes; otherwise nearly nothing is allowed.
fn targets() -> impl Strategy<Value = String> {
    let start = select(&["/", "/public/", "/public/x/", "/a/", "/x/"][..]);
    (start, vec(select(PIECES), 0..9)).prop_map(|(start, pieces)| format!("{start}{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// In the generated order and reversed: since the first match decides, a protected
    /// route before a public one and after it are two cases.
    #[test]
    fn every_reading_of_a_path_allowed_as_public_is_public(rows in tables(), targets in vec(targets(), 384)) {
        let reversed: Vec<_> = rows.iter().rev().copied().collect();
        for table in [Table::new(&rows), Table::new(&reversed)] {
            for target in &targets {
                table.send(target).map_err(TestCaseError::fail)?;
            }
        }
    }

    #[test]
    fn no_target_makes_the_gate_panic(target in "\\PC{0,40}", raw in "/[\\x21-\\x7e]{0,60}") {
        for target in [target, raw] {
            OPEN.send(&target).map_err(TestCaseError::fail)?;
        }
    }
}

#[test]
fn the_server_models_detect_protected_paths() {
    for path in
        ["/admin", "/ADMIN/x", "/x/..%2fadmin", "/x%2fy/%2e%2e/%2e%2e/admin", "//h/admin", "/oauth2/x"]
    {
        assert!(OPEN.judge(path.as_bytes()).is_err(), "{path}");
    }
    for path in ["/x", "/administrator", "/x/../y", "/%2561"] {
        assert_eq!(OPEN.judge(path.as_bytes()), Ok(()), "{path}");
    }
    for (target, outcome) in
        [("/x", Outcome::Passed), ("/admin", Outcome::Refused(401)), ("/x/../admin", Outcome::Refused(400))]
    {
        assert_eq!(OPEN.send(target), Ok(outcome), "{target}");
    }
}
