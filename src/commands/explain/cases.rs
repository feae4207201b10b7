//! `huggate explain --cases`: tests of the rules.

use std::fmt::Write as _;
use std::path::Path;

use huggate::explain::{Case, Cases};
use huggate::explain::{Explanation, Who};
use serde_json::json;

use super::super::failure::Failure;
use super::super::output::print;
use super::loaded_gate::LoadedGate;
use super::{json_report, text_report};

/// Column widths; with the gaps and the last column they fill 80 columns.
const URL: usize = 30;
const NAME: usize = 10;

/// A case and its result.
struct Tried<'a> {
    case: &'a Case,
    explanation: Explanation,
    /// Differences from the expectation; empty if the case passes.
    faults: Vec<Fault>,
}

/// A difference from the expectation.
#[derive(serde::Serialize)]
struct Fault {
    expected: String,
    found: String,
}

/// Runs every case of the file. The table is printed in any case; a failed case makes the
/// command fail.
pub(super) fn run(loaded: &LoadedGate, path: &Path, as_json: bool) -> Result<String, Failure> {
    let cases = Cases::load(path, loaded.gate.routes())
        .map_err(|problems| Failure::Configuration(problems.to_string()))?;
    let tried: Vec<Tried<'_>> = cases.list.iter().map(|case| try_one(loaded, case)).collect();
    let failed = tried.iter().filter(|tried| !tried.faults.is_empty()).count();
    let text = if as_json { as_document(loaded, &tried, failed) } else { as_table(loaded, &tried, failed) };
    if failed == 0 {
        return Ok(text);
    }
    // To standard output, because it is the result and not an error message.
    print(&text);
    Err(Failure::Run(String::new()))
}

fn try_one<'a>(loaded: &LoadedGate, case: &'a Case) -> Tried<'a> {
    let explanation = loaded.gate.explain(&case.request, who(case));
    let mut faults = Vec::new();
    if explanation.outcome != case.expect {
        let (expected, found) = (case.expect.as_str(), explanation.outcome.as_str());
        faults.push(Fault { expected: expected.to_owned(), found: found.to_owned() });
    }
    if let Some(route) = case.route
        && route != explanation.route
    {
        faults.push(Fault { expected: named(route), found: named(explanation.route) });
    }
    Tried { case, explanation, faults }
}

fn who(case: &Case) -> Who<'_> {
    case.who.as_ref().map_or(Who::Nobody, Who::TestSubject)
}

fn named(route: Option<usize>) -> String {
    route.map_or("access".to_owned(), |index| format!("route[{index}]"))
}

fn as_table(loaded: &LoadedGate, tried: &[Tried<'_>], failed: usize) -> String {
    let mut text = String::new();
    for Tried { case, faults, .. } in tried {
        let (mark, result) = match faults.as_slice() {
            [] => ("ok", case.expect.as_str().to_owned()),
            [Fault { expected, found }, ..] => ("FAIL", format!("{found}, expected {expected}")),
        };
        let method = if case.preflight { format!("({})", case.method) } else { case.method.to_string() };
        let (url, name) = (cut(&case.url, URL), cut(&case.name, NAME));
        let line = format!("{mark:<4}  {method:<7} {url:<URL$} {name:<NAME$} {result}");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line.trim_end());
    }
    for Tried { case, explanation, faults } in tried.iter().filter(|tried| !tried.faults.is_empty()) {
        let preflight = if case.preflight { "the preflight of " } else { "" };
        let _ = writeln!(text, "\n{}: {preflight}{} {}", case.origin, case.method, case.url);
        for Fault { expected, found } in faults {
            let _ = writeln!(text, "  expected  {expected}, got {found}");
        }
        text.push_str(&text_report::below(loaded, explanation, None));
    }
    let count = match tried.len() {
        1 => "1 case".to_owned(),
        several => format!("{several} cases"),
    };
    let _ = match failed {
        0 => writeln!(text, "\n{count}, all as expected"),
        failed => writeln!(text, "\n{count}, {failed} not as expected"),
    };
    text
}

fn as_document(loaded: &LoadedGate, tried: &[Tried<'_>], failed: usize) -> String {
    let cases = tried.iter().map(|Tried { case, explanation, faults }| {
        json!({
            "file": case.origin.source,
            "line": case.origin.line,
            "ok": faults.is_empty(),
            "faults": faults,
            "expect": case.expect.as_str(),
            "explanation": json_report::of(loaded, explanation, who(case)),
        })
    });
    let cases: Vec<_> = cases.collect();
    json_report::printed(&json!({"passed": tried.len() - failed, "failed": failed, "cases": cases}))
}

/// Shortens `text` to `width` by leaving out its middle.
fn cut(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let end = width / 2;
    let start: String = text.chars().take(width - end - 1).collect();
    let rest: String = text.chars().skip(length - end).collect();
    format!("{start}…{rest}")
}
