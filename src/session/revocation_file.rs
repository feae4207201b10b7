//! The times of [`NotBefore`](super::not_before::NotBefore) in a file that the processes of one
//! machine share.
//!
//! A line is a hash in base64, a time, and when the line can be dropped. A writer holds the lock
//! of `FILE.lock`, and replaces the file as a whole, so that a reader finds the one before or the
//! one after it.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::not_before::{Entry, Table, merge};
use super::store::StoreError;
use crate::clock::UnixTime;

/// The first line.
const HEAD: &str = "huggate revocations v1";
/// The maximum size of a file: 200,000 lines.
const MAX: u64 = 16 << 20;

/// The file.
#[derive(Debug, Clone)]
pub(super) struct RevocationFile {
    path: PathBuf,
}

/// Identifies a state of the file.
pub(super) type FileState = Option<(SystemTime, u64)>;

impl RevocationFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The state that the file is in; `None` if there is none.
    pub(super) fn state(&self) -> FileState {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }

    /// What the file says; nothing if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is no file of this kind.
    pub(super) fn read(&self) -> Result<Table, StoreError> {
        let mut text = String::new();
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Table::new()),
            Err(error) => return Err(self.failed("cannot be read", &error)),
        };
        file.take(MAX).read_to_string(&mut text).map_err(|error| self.failed("cannot be read", &error))?;
        let mut lines = text.lines();
        match lines.next() {
            None | Some(HEAD) => {}
            Some(_) => {
                return Err(StoreError::refused(format!(
                    "{} is not a file of revocations; name another file in session.revocations",
                    self.path.display()
                )));
            }
        }
        Ok(lines.filter_map(parse).collect())
    }

    /// Adds entries, durably.
    ///
    /// # Errors
    /// The file cannot be written. Then it is as it was.
    pub(super) fn add(&self, entries: &Table, now: UnixTime) -> Result<(), StoreError> {
        let lock = with_suffix(&self.path, ".lock");
        let lock = private().create(true).truncate(false).open(&lock);
        let lock = lock.map_err(|error| self.failed("cannot be locked", &error))?;
        lock.lock().map_err(|error| self.failed("cannot be locked", &error))?;
        let mut table = self.read()?;
        merge(&mut table, entries, now);
        let mut text = format!("{HEAD}\n");
        for (tag, Entry { not_before, expires }) in &table {
            text.push_str(&format!("{} {not_before} {expires}\n", URL_SAFE_NO_PAD.encode(tag)));
        }
        self.replace(&text).map_err(|error| self.failed("cannot be written", &error))
    }

    fn replace(&self, text: &str) -> Result<(), std::io::Error> {
        let next = with_suffix(&self.path, ".next");
        let mut file = private().create(true).truncate(true).open(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&next, &self.path)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }

    fn failed(&self, what: &str, error: &std::io::Error) -> StoreError {
        StoreError::unavailable(format!("{} {what}: {error}", self.path.display()))
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// A line that was cut by a full disk or a later version is left out.
fn parse(line: &str) -> Option<([u8; 16], Entry)> {
    let mut parts = line.split(' ');
    let tag = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?.try_into().ok()?;
    let (not_before, expires) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((tag, Entry { not_before, expires }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(not_before: UnixTime, expires: UnixTime) -> Entry {
        Entry { not_before, expires }
    }

    #[test]
    fn what_several_processes_add_is_kept_until_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let (one, two) = (RevocationFile::new(path.clone()), RevocationFile::new(path));
        assert_eq!((one.state(), one.read().unwrap()), (None, Table::new()));
        one.add(&Table::from([([1; 16], entry(10, 50))]), 10).unwrap();
        two.add(&Table::from([([2; 16], entry(20, 90)), ([1; 16], entry(5, 60))]), 20).unwrap();
        assert_eq!(one.read().unwrap(), Table::from([([1; 16], entry(10, 60)), ([2; 16], entry(20, 90))]));
        two.add(&Table::new(), 60).unwrap();
        assert_eq!(one.read().unwrap(), Table::from([([2; 16], entry(20, 90))]));
    }

    #[test]
    fn another_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "public_url = \"https://app.example.com\"\n").unwrap();
        let file = RevocationFile::new(path.clone());
        for error in [file.read().unwrap_err(), file.add(&Table::new(), 0).unwrap_err()] {
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains("is not a file of revocations"), "{cause}");
        }
        assert!(std::fs::read_to_string(&path).unwrap().starts_with("public_url"));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_left_out() {
        let good = format!("{} 1 2", URL_SAFE_NO_PAD.encode([7; 16]));
        assert!(parse(&good).is_some() && parse(&format!("{good} later")).is_some());
        for line in ["", "x 1 2", "BwcHBwcHBwcHBwcHBwcHBw 1", "BwcHBwcHBwcHBwcHBwcHBw a 2"] {
            assert!(parse(line).is_none(), "{line}");
        }
    }
}
