//! What is wrong with a configuration: every problem of it, not the first alone;
//! and what is sound and still worth a warning.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use super::tree::Place;

/// One problem, or one warning: where it is, and what would be right.
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

/// Where in a configuration something is from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The file, or the environment variable.
    pub source: String,
    /// The line of the file.
    pub line: Option<usize>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
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
    warnings: RefCell<Vec<Problem>>,
    files: RefCell<Vec<PathBuf>>,
}

impl Report {
    pub(super) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            found: RefCell::default(),
            warnings: RefCell::default(),
            files: RefCell::default(),
        }
    }

    /// Notes a file that the configuration names, and so depends on.
    pub(super) fn add_file(&self, file: &Path) {
        self.files.borrow_mut().push(file.to_owned());
    }

    /// The files that were named so far.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.files.borrow().clone()
    }

    /// Reports what must not be so.
    pub(super) fn add(&self, place: &Place, key: &str, message: impl Into<String>) {
        self.note(&self.found, place, key, message.into());
    }

    /// Reports what may be so, and is likely not meant.
    pub(super) fn warn(&self, place: &Place, key: &str, message: impl Into<String>) {
        self.note(&self.warnings, place, key, message.into());
    }

    fn note(&self, list: &RefCell<Vec<Problem>>, place: &Place, key: &str, message: String) {
        let Origin { source, line } = self.origin(place);
        // A quoted key can hold anything; a problem is one line.
        let key = key.replace(char::is_control, "?");
        let problem = Problem { source, line, key, message };
        let mut list = list.borrow_mut();
        if !list.contains(&problem) {
            list.push(problem);
        }
    }

    /// A place as people are told it.
    pub(super) fn origin(&self, place: &Place) -> Origin {
        match place {
            Place::Line(line) => Origin { source: self.file.clone(), line: Some(*line) },
            Place::Variable(name) => Origin { source: name.clone(), line: None },
            Place::File => Origin { source: self.file.clone(), line: None },
        }
    }

    /// `value` and the warnings, if nothing else was found; otherwise everything
    /// that was.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<(T, Vec<Problem>), Problems> {
        let mut found = self.found.into_inner();
        let mut warnings = self.warnings.into_inner();
        // What has no line is missing, or in the environment; it comes last.
        found.sort_by_key(|problem| (problem.line.is_none(), problem.line));
        warnings.sort_by_key(|warning| (warning.line.is_none(), warning.line));
        match value {
            Some(value) if found.is_empty() => Ok((value, warnings)),
            None if found.is_empty() => Err(Problems::one(&self.file, "cannot be read".to_owned())),
            Some(_) | None => Err(Problems(found)),
        }
    }
}
