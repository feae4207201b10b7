//! What is wrong with a configuration: every problem of it, not the first alone.

use std::cell::RefCell;
use std::fmt;

use super::tree::Place;

/// One problem: where it is, and what would be right.
///
/// It never holds a secret, so that it can be printed and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file, or the environment variable, that the value comes from.
    pub source: String,
    /// The line of the file.
    pub line: Option<usize>,
    /// The key, from the top: `session.idle_timeout`, `route[2].path`. Empty if
    /// it is about the file as a whole.
    pub key: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Every problem of a configuration, one on a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn one(source: &str, message: String) -> Self {
        Self(vec![Problem { source: source.to_owned(), line: None, key: String::new(), message }])
    }

    /// The problems, in the order of their lines.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects problems while the settings are read, so that nothing has to stop at
/// the first.
pub(super) struct Report {
    /// What to call the file.
    file: String,
    found: RefCell<Vec<Problem>>,
}

impl Report {
    pub(super) fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: RefCell::default() }
    }

    pub(super) fn add(&self, place: &Place, key: &str, message: impl Into<String>) {
        let (source, line) = match place {
            Place::Line(line) => (self.file.clone(), Some(*line)),
            Place::Variable(name) => (name.clone(), None),
            Place::File => (self.file.clone(), None),
        };
        // A quoted key can hold anything; a problem is one line.
        let key = key.replace(char::is_control, "?");
        let problem = Problem { source, line, key, message: message.into() };
        let mut found = self.found.borrow_mut();
        if !found.contains(&problem) {
            found.push(problem);
        }
    }

    /// `value`, if nothing was found; otherwise everything that was.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        let mut found = self.found.into_inner();
        // What has no line is missing, or in the environment; it comes last.
        found.sort_by_key(|problem| (problem.line.is_none(), problem.line));
        match value {
            Some(value) if found.is_empty() => Ok(value),
            None if found.is_empty() => Err(Problems::one(&self.file, "cannot be read".to_owned())),
            Some(_) | None => Err(Problems(found)),
        }
    }
}
