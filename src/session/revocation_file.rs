//! The times of [`NotBefore`](super::not_before::NotBefore) in a file that the processes of one
//! machine share.
//!
//! A line is a hash in base64, a time, and when the line can be dropped. A writer holds the lock
//! of `FILE.lock`, and replaces the file as a whole, so that a reader finds the one before or the
//! one after it.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::not_before::{Entry, Table, merge};
use super::store::StoreError;
use crate::clock::UnixTime;

/// The first line.
const HEAD: &str = "huggate revocations v1";
/// The maximum size of a file: 200,000 lines.
const MAX: u64 = 16 << 20;
/// How long a writer waits for another one. Each takes milliseconds, unless it was stopped.
const LOCKED: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(5);

/// The file.
#[derive(Debug, Clone)]
pub(super) struct RevocationFile {
    path: PathBuf,
}

/// Identifies a state of the file: when it was written, its size, and which file it is. Some
/// file systems count whole seconds, and a time that replaces another takes as much room.
pub(super) type FileState = Option<(SystemTime, u64, u64)>;

impl RevocationFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The state that the file is in; `None` if there is none.
    pub(super) fn state(&self) -> FileState {
        let metadata = std::fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
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
        // One more, which tells a file that is cut from one that is not.
        let mut file = file.take(MAX + 1);
        file.read_to_string(&mut text).map_err(|error| self.failed("cannot be read", &error))?;
        if file.limit() == 0 {
            return Err(StoreError::refused(format!(
                "{} is larger than {} MiB; name another file in session.revocations",
                self.path.display(),
                MAX >> 20
            )));
        }
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
    /// The file cannot be written, or not so that the processes that read it can. Then it is as
    /// it was.
    pub(super) fn add(&self, entries: &Table, now: UnixTime) -> Result<(), StoreError> {
        let access = Access::of(&self.path).map_err(|error| self.failed("cannot be written", &error))?;
        // Until it is dropped.
        let _lock = self.lock(&access).map_err(|error| self.failed("cannot be locked", &error))?;
        let mut table = self.read()?;
        merge(&mut table, entries, now);
        let mut text = format!("{HEAD}\n");
        for (tag, Entry { not_before, expires }) in &table {
            text.push_str(&format!("{} {not_before} {expires}\n", URL_SAFE_NO_PAD.encode(tag)));
        }
        self.replace(&text, &access).map_err(|error| self.failed("cannot be written", &error))
    }

    fn lock(&self, access: &Access) -> Result<File, std::io::Error> {
        let path = with_suffix(&self.path, ".lock");
        let file = match private().create_new(true).open(&path) {
            Ok(file) => {
                access.give(&file)?;
                file
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => private().open(&path)?,
            Err(error) => return Err(error),
        };
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if begun.elapsed() < LOCKED => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let seconds = LOCKED.as_secs();
                    let why = format!("another process has held the lock for {seconds} seconds");
                    return Err(std::io::Error::new(ErrorKind::TimedOut, why));
                }
            }
        }
    }

    fn replace(&self, text: &str, access: &Access) -> Result<(), std::io::Error> {
        let next = with_suffix(&self.path, ".next");
        // What a writer left that was killed, or a link that somebody else put there.
        match std::fs::remove_file(&next) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = private().create_new(true).open(&next)?;
        access.give(&file)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&next, &self.path)?;
        File::open(directory(&self.path))?.sync_all()
    }

    fn failed(&self, what: &str, error: &std::io::Error) -> StoreError {
        StoreError::unavailable(format!("{} {what}: {error}", self.path.display()))
    }
}

/// Who may read and write the file. The command that ends sessions may run as another user than
/// the gate, as root for one, and replaces a file that the gate reads.
struct Access {
    user: u32,
    group: u32,
    permissions: Option<Permissions>,
}

impl Access {
    /// That of the file at `path`. A new one belongs to whom its directory belongs to.
    fn of(path: &Path) -> Result<Self, std::io::Error> {
        let (metadata, is_there) = match std::fs::metadata(path) {
            Ok(metadata) => (metadata, true),
            Err(error) if error.kind() == ErrorKind::NotFound => (std::fs::metadata(directory(path))?, false),
            Err(error) => return Err(error),
        };
        // No more than that, whatever a link leads to.
        let permissions = is_there.then(|| Permissions::from_mode(metadata.mode() & 0o666));
        Ok(Self { user: metadata.uid(), group: metadata.gid(), permissions })
    }

    /// Gives a file that this process has made to that user, which only root can.
    fn give(&self, file: &File) -> Result<(), std::io::Error> {
        let metadata = file.metadata()?;
        if (metadata.uid(), metadata.gid()) != (self.user, self.group) {
            match fchown(file, Some(self.user), Some(self.group)) {
                Err(error) if error.kind() != ErrorKind::PermissionDenied => return Err(error),
                // The gate may run as another user and must still be able to read the file.
                Err(error) if self.permissions.is_some() && metadata.uid() != self.user => return Err(error),
                _ => {}
            }
        }
        match &self.permissions {
            Some(permissions) => file.set_permissions(permissions.clone()),
            None => Ok(()),
        }
    }
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn whoever_could_read_the_file_still_can_after_a_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let file = RevocationFile::new(path.clone());
        file.add(&Table::from([([1; 16], entry(10, 50))]), 10).unwrap();
        assert_eq!(mode(&path), 0o600, "a new file is for this user");
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        // As the gate's user is known by the directory, where this process may give files away.
        let nobody = fchown(File::open(&path).unwrap(), Some(65_534), Some(65_534)).is_ok();
        file.add(&Table::from([([2; 16], entry(10, 50))]), 10).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(mode(&path), 0o640);
        assert_eq!(metadata.uid() == 65_534, nobody, "{metadata:?}");
    }

    #[test]
    fn a_link_in_the_place_of_the_next_file_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("revocations"), folder.path().join("other"));
        std::fs::write(&other, "of somebody else").unwrap();
        std::os::unix::fs::symlink(&other, with_suffix(&path, ".next")).unwrap();
        let file = RevocationFile::new(path);
        file.add(&Table::from([([1; 16], entry(10, 50))]), 10).unwrap();
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "of somebody else");
        assert_eq!(file.read().unwrap().len(), 1);
    }

    #[test]
    fn a_replaced_file_is_another_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let file = RevocationFile::new(path.clone());
        file.add(&Table::from([([1; 16], entry(10, 50))]), 10).unwrap();
        let (state, written) = (file.state(), std::fs::metadata(&path).unwrap().modified().unwrap());
        // Held, so that the system does not give its number to the next one.
        let _held = File::open(&path).unwrap();
        file.add(&Table::from([([1; 16], entry(11, 51))]), 10).unwrap();
        // As on a file system that counts seconds.
        File::options().write(true).open(&path).unwrap().set_modified(written).unwrap();
        assert_ne!(file.state(), state);
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_and_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        std::fs::write(&path, format!("{HEAD}\n")).unwrap();
        File::options().write(true).open(&path).unwrap().set_len(MAX + 1).unwrap();
        let file = RevocationFile::new(path.clone());
        for error in [file.read().unwrap_err(), file.add(&Table::new(), 0).unwrap_err()] {
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains("is larger than 16 MiB"), "{cause}");
        }
        assert_eq!(std::fs::metadata(&path).unwrap().len(), MAX + 1);
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
