//! Problems and warnings of a configuration, all of them at once.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use super::tree::Place;

/// A problem or warning: where it is, and what to do.
///
/// It never contains a secret, so it can be printed and logged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The file or environment variable.
    pub source: String,
    /// The line in the file.
    pub line: Option<usize>,
    /// The full key: `session.idle_timeout`, `route[2].path`. Empty if the problem is about the
    /// whole file.
    pub key: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// The origin of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// The file or environment variable.
    pub source: String,
    /// The line in the file.
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

/// Every problem of a configuration, one per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn one(source: &str, message: String) -> Self {
        Self(vec![Problem { source: source.to_owned(), line: None, key: String::new(), message }])
    }

    /// The problems, ordered by line.
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

/// Collects problems while settings are read, so that reading does not stop at the first one.
pub(crate) struct Report {
    /// The file's name in problems.
    file: String,
    /// Syntax errors. With one, what seems to be missing may be in the part that could not be
    /// read.
    syntax: Vec<Problem>,
    /// Whether files that only serving opens are checked.
    #[cfg(feature = "proxy")]
    opens_files: bool,
    found: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    files: RefCell<Vec<PathBuf>>,
}

impl Report {
    pub(crate) fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            syntax: Vec::new(),
            #[cfg(feature = "proxy")]
            opens_files: false,
            found: RefCell::default(),
            warnings: RefCell::default(),
            files: RefCell::default(),
        }
    }

    /// The same, with the syntax errors of the file.
    pub(crate) fn with_syntax_errors(self, syntax: Vec<Problem>) -> Self {
        Self { syntax, ..self }
    }

    /// The same, with whether files that only serving opens are checked.
    #[cfg(feature = "proxy")]
    pub(crate) fn opening_files(self, opens_files: bool) -> Self {
        Self { opens_files, ..self }
    }

    /// Whether files that only serving opens are checked.
    #[cfg(feature = "proxy")]
    pub(crate) fn opens_files(&self) -> bool {
        self.opens_files
    }

    /// Adds a problem: something is missing.
    pub(crate) fn add_missing(&self, place: &Place, key: &str, otherwise: &str) {
        if self.syntax.is_empty() {
            self.add(place, key, format!("is missing; {otherwise}"));
        }
    }

    /// Records a file that the configuration depends on.
    pub(crate) fn add_file(&self, file: &Path) {
        self.files.borrow_mut().push(file.to_owned());
    }

    /// The recorded files.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.files.borrow().clone()
    }

    /// Adds a problem.
    pub(crate) fn add(&self, place: &Place, key: &str, message: impl Into<String>) {
        self.note(&self.found, place, key, message.into());
    }

    /// Adds a warning about a valid setting that is probably not intended.
    pub(crate) fn warn(&self, place: &Place, key: &str, message: impl Into<String>) {
        self.note(&self.warnings, place, key, message.into());
    }

    fn note(&self, list: &RefCell<Vec<Problem>>, place: &Place, key: &str, message: String) {
        let Origin { source, line } = self.origin(place);
        // A quoted key can contain anything, but a problem is a single line.
        let key = key.replace(char::is_control, "?");
        let problem = Problem { source, line, key, message };
        let mut list = list.borrow_mut();
        if !list.contains(&problem) {
            list.push(problem);
        }
    }

    /// The origin for a place.
    pub(crate) fn origin(&self, place: &Place) -> Origin {
        match place {
            Place::Line(line) => Origin { source: self.file.clone(), line: Some(*line) },
            Place::Variable(name) => Origin { source: name.clone(), line: None },
            Place::File => Origin { source: self.file.clone(), line: None },
        }
    }

    /// Returns `value` and the warnings, or all problems if there are any.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<(T, Vec<Problem>), Problems> {
        let mut found = self.found.into_inner();
        let mut warnings = self.warnings.into_inner();
        // Problems without a line (missing keys, variables) come last.
        found.sort_by_key(|problem| (problem.line.is_none(), problem.line));
        found.splice(..0, self.syntax);
        warnings.sort_by_key(|warning| (warning.line.is_none(), warning.line));
        match value {
            Some(value) if found.is_empty() => Ok((value, warnings)),
            None if found.is_empty() => Err(Problems::one(&self.file, "cannot be read".to_owned())),
            Some(_) | None => Err(Problems(found)),
        }
    }
}
