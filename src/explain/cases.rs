//! Case files: the expected decisions of a configuration's rules.

use std::collections::BTreeMap;
use std::path::Path;

use http::Method;

use super::outcome::Outcome;
use super::sample_request::SampleRequest;
use super::test_subject::{TestSubject, TestSubjectError};
use crate::config::problem::{Origin, Problems, Report};
use crate::config::reader::{Field, Table};
use crate::config::{routes, schema, suggestion, toml_parser, unknown_keys};
use crate::policy::Route;

/// The outcomes that a file can expect.
const OUTCOMES: [Outcome; 6] = [
    Outcome::Allow,
    Outcome::Public,
    Outcome::SignIn,
    Outcome::Refuse,
    Outcome::BadRequest,
    Outcome::Endpoint,
];
/// The name for a request without a signed-in person.
const NOBODY: &str = "nobody";

/// The cases of a file.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Cases {
    /// The cases, in order.
    pub list: Vec<Case>,
}

/// A request, the person who sends it, and the expected decision.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Case {
    /// The origin of the case.
    pub origin: Origin,
    /// The request.
    pub request: SampleRequest,
    /// The method as written.
    pub method: Method,
    /// The URL as written.
    pub url: String,
    /// Whether the case is about the CORS preflight of the request.
    pub preflight: bool,
    /// The person: a name of `[people]`, a username, or `nobody`.
    pub name: String,
    /// The person; `None` if nobody is signed in.
    pub who: Option<TestSubject>,
    /// The expected decision.
    pub expect: Outcome,
    /// The expected route, if given: its index, or none.
    pub route: Option<Option<usize>>,
}

impl Cases {
    /// Loads the file at `path`; `routes` are those of the configuration.
    ///
    /// # Errors
    /// [`Problems`]: all problems of the file.
    pub fn load(path: &Path, routes: &[Route]) -> Result<Self, Problems> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let why = match error.kind() {
                std::io::ErrorKind::NotFound => "does not exist".to_owned(),
                std::io::ErrorKind::InvalidData => "cannot be read: it is not UTF-8".to_owned(),
                kind => format!("cannot be read: {kind}"),
            };
            Problems::one(&name, why)
        })?;
        Self::parse(&text, &name, routes)
    }

    /// Parses a file's text; `file` is its name in problems.
    ///
    /// # Errors
    /// [`Problems`]: all problems of the file.
    pub fn parse(text: &str, file: &str, routes: &[Route]) -> Result<Self, Problems> {
        let mut tree = toml_parser::parse(text, file)?;
        let report = Report::new(file);
        unknown_keys::check(&mut tree, schema::CASES, &report);
        let root = Table::root(&tree, &report);
        let people = root.table("people").fields();
        let people: BTreeMap<&str, Option<TestSubject>> = people
            .iter()
            .filter_map(|(name, field)| Some((*name, test_subject(&field.as_table()?, Some(name)))))
            .collect();
        let list = root.required("case", "write one as [[case]]").and_then(|field| field.as_list());
        let list = list.unwrap_or_default();
        let list = list.iter().filter_map(|field| case(field, &people, routes)).collect();
        Ok(report.finish(Some(Self { list }))?.0)
    }
}

fn case(field: &Field<'_>, people: &BTreeMap<&str, Option<TestSubject>>, routes: &[Route]) -> Option<Case> {
    let table = field.as_table()?;
    let method = table.field("method").map_or(Some(Method::GET), |field| routes::method(&field));
    let preflight = table.field("preflight").map_or(Some(false), |field| field.flag());
    let url = table.required("url", "give the URL of the request, as in url = \"/admin\"");
    let url = url.and_then(|field| Some((field.clone(), field.text()?)));
    let who = table.field("who").map_or(Some((NOBODY.to_owned(), None)), |field| who(&field, people));
    let expect = table.required("expect", "give the expected decision, as in expect = \"allow\"");
    let expect = expect.and_then(|field| field.parse(outcome));
    let route = match table.field("route") {
        Some(field) => Some(expected_route(&field, routes)?),
        None => None,
    };
    let (url_field, url) = url?;
    let method = method?;
    let request = url_field.parse(|url| SampleRequest::new(method.clone(), url))?;
    let preflight = preflight?;
    let (name, who) = who?;
    Some(Case {
        origin: field.origin(),
        request: if preflight { request.preflight() } else { request },
        method,
        url: url.to_owned(),
        preflight,
        name,
        who,
        expect: expect?,
        route,
    })
}

/// A name of `[people]`, or an inline description.
fn who(
    field: &Field<'_>,
    people: &BTreeMap<&str, Option<TestSubject>>,
) -> Option<(String, Option<TestSubject>)> {
    if let Some(table) = field.as_table() {
        let subject = test_subject(&table, None)?;
        let user = subject.user();
        return Some((user.username().to_owned(), Some(subject)));
    }
    let name = field.parse(|name| {
        if name == NOBODY || people.contains_key(name) {
            return Ok(name.to_owned());
        }
        let near = suggestion::nearest(name, people.keys().copied());
        let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        Err(format!(
            "is not defined in [people]; define it there, or write who = {{ user = {name:?} }}{near}"
        ))
    })?;
    match people.get(name.as_str()) {
        Some(subject) => Some((name, Some(subject.clone()?))),
        None => Some((name, None)),
    }
}

/// A person as described; `name` is their key in the file.
fn test_subject(table: &Table<'_>, name: Option<&str>) -> Option<TestSubject> {
    if name == Some(NOBODY) {
        table.problem("means that nobody is signed in; use another name");
        return None;
    }
    let subject = match (table.field("user"), name) {
        (Some(field), _) => field.parse(TestSubject::named)?,
        (None, Some(name)) => match TestSubject::named(name) {
            Ok(subject) => subject,
            Err(_) => {
                table.missing("user", "give the username, since this name is not one");
                return None;
            }
        },
        (None, None) => {
            table.missing("user", "give the username, as in who = { user = \"ada\" }");
            return None;
        }
    };
    let subject = each(subject, table.field("id").into_iter().collect(), TestSubject::with_id)?;
    let subject = each(subject, list(table, "orgs")?, TestSubject::in_org)?;
    let subject = each(subject, list(table, "resource_groups")?, TestSubject::in_group)?;
    let subject = each(subject, table.field("email").into_iter().collect(), TestSubject::with_email)?;
    let pro = table.field("pro").map_or(Some(false), |field| field.flag())?;
    Some(subject.with_pro(pro))
}

fn list<'a>(table: &Table<'a>, name: &str) -> Option<Vec<Field<'a>>> {
    table.field(name).map_or(Some(Vec::new()), |field| field.list())
}

/// Applies `add` to `subject` for each of `fields`.
fn each(
    subject: TestSubject,
    fields: Vec<Field<'_>>,
    add: impl Fn(TestSubject, &str) -> Result<TestSubject, TestSubjectError>,
) -> Option<TestSubject> {
    fields.into_iter().try_fold(subject, |subject, field| field.parse(|text| add(subject, text)))
}

fn outcome(text: &str) -> Result<Outcome, String> {
    let known = OUTCOMES.iter().find(|outcome| outcome.as_str() == text);
    known.copied().ok_or_else(|| {
        let names = || OUTCOMES.iter().map(|outcome| outcome.as_str());
        let near = suggestion::nearest(text, names());
        let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        format!("is not a decision; write one of {}{near}", names().collect::<Vec<_>>().join(", "))
    })
}

/// A route by index or pattern; `"access"` is none of them.
fn expected_route(field: &Field<'_>, routes: &[Route]) -> Option<Option<usize>> {
    if let Some(index) = field.as_count() {
        if index < routes.len() {
            return Some(Some(index));
        }
        let last = routes.len().checked_sub(1);
        let there_are =
            last.map_or("there are no routes".to_owned(), |last| format!("the last is route[{last}]"));
        field.invalid(format_args!("is not the index of a route; {there_are}"));
        return None;
    }
    field.parse(|text| {
        if text == "access" {
            return Ok(None);
        }
        let is_it = |route: &Route| route.pattern() == text || route.place() == text;
        let found: Vec<usize> =
            routes.iter().enumerate().filter(|(_, route)| is_it(route)).map(|(index, _)| index).collect();
        match found.as_slice() {
            [index] => Ok(Some(*index)),
            [] => {
                let patterns: Vec<String> = routes.iter().map(Route::pattern).collect();
                let near = suggestion::nearest(text, patterns.iter().map(String::as_str));
                let near = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
                Err(format!("is not the pattern of a route; write an index, a pattern or \"access\"{near}"))
            }
            several => {
                let several: Vec<String> = several.iter().map(|index| format!("route[{index}]")).collect();
                Err(format!("is the pattern of {}; write the index of one", several.join(" and ")))
            }
        }
    })
}
