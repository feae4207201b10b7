//! Opens the file, or makes it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Builder, Database, StorageError};

use super::backend::{LockedFile, beside};
use super::error::FileStoreError;
use super::tables::{FORMAT, Format, check_format, largest_size, live};

/// The first bytes of a file of redb.
const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";
/// The memory for pages of the file, in bytes. The system caches the file as well.
const CACHE: usize = 32 * 1024 * 1024;

/// The database in a file that this process has locked. redb may panic on damaged content.
pub(super) fn open_database(file: &LockedFile) -> Result<Database, redb::Error> {
    let open = || Builder::new().set_cache_size(CACHE).create_with_backend(file.clone());
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(redb::Error::Corrupted("its pages contradict each other".to_owned())),
    }
}

/// The file of a store, and the database in it.
pub(super) fn open(path: &Path) -> Result<(LockedFile, Database), FileStoreError> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => checked(path, locked(path, file)?)?,
        Err(error) if error.kind() == ErrorKind::NotFound => create(path)?,
        Err(error) => return Err(failed(path, error)),
    };
    let mut database = open_checked(path, &file)?;
    if let Err(error) = compact_if_large(&file, &mut database) {
        tracing::warn!(reason = %error, "the session file could not be compacted");
        drop(database);
        database = open_checked(path, &file)?;
    }
    Ok((file, database))
}

/// The same file, if it is empty or begins as one of redb does.
fn checked(path: &Path, locked: LockedFile) -> Result<LockedFile, FileStoreError> {
    let file = locked.file();
    let metadata = file.metadata().map_err(|error| failed(path, error))?;
    let mut first = [0; MAGIC.len()];
    let is_store = metadata.len() == 0 || (file.read_exact_at(&mut first, 0).is_ok() && first == MAGIC);
    if metadata.is_file() && is_store {
        Ok(locked)
    } else {
        Err(FileStoreError::NotAStore { path: path.to_owned() })
    }
}

/// Nobody waits for the sessions yet.
fn compact_if_large(file: &LockedFile, database: &mut Database) -> Result<(), redb::Error> {
    if file.size()? <= largest_size(live(database)?) {
        return Ok(());
    }
    catch_unwind(AssertUnwindSafe(|| database.compact()))
        .unwrap_or_else(|_| Err(StorageError::Corrupted("compacting panicked".to_owned()).into()))?;
    Ok(())
}

fn open_checked(path: &Path, file: &LockedFile) -> Result<Database, FileStoreError> {
    let unusable = |error| match error {
        redb::Error::Io(error) => failed(path, error),
        error => FileStoreError::Damaged { path: path.to_owned(), source: error.into() },
    };
    let database = open_database(file).map_err(unusable)?;
    let format = catch_unwind(AssertUnwindSafe(|| check_format(&database)))
        .unwrap_or_else(|_| Err(redb::Error::Corrupted("its tables contradict each other".to_owned())));
    match format.map_err(unusable)? {
        Format::Known => Ok(database),
        Format::Newer(format) => Err(FileStoreError::Newer { path: path.to_owned(), format, known: FORMAT }),
        Format::Foreign => Err(FileStoreError::NotAStore { path: path.to_owned() }),
    }
}

/// Makes a store beside `path` and moves it there, so that whoever is killed meanwhile leaves
/// nothing at `path` that cannot be opened.
fn create(path: &Path) -> Result<LockedFile, FileStoreError> {
    if path.file_name().is_none() {
        return Err(FileStoreError::Directory { path: path.to_owned() });
    }
    let beside = beside(path, ".huggate-new");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = locked(path, options.open(&beside).map_err(|error| failed(path, error))?)?;
    if fs::exists(path).map_err(|error| failed(path, error))? {
        // Another process was faster, and has moved this very file.
        return Err(FileStoreError::InUse { path: path.to_owned() });
    }
    file.file().set_len(0).map_err(|error| failed(path, error))?;
    drop(open_checked(path, &file)?);
    let moved = || -> io::Result<()> {
        file.file().sync_all()?;
        fs::rename(&beside, path)?;
        // Some directories can be written and not read.
        File::open(directory(path)).map_or(Ok(()), |directory| directory.sync_all())
    };
    moved().map_err(|error| failed(path, error))?;
    Ok(file)
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A lock that ends with the process, however it ends.
fn locked(path: &Path, file: File) -> Result<LockedFile, FileStoreError> {
    match file.try_lock() {
        Ok(()) => Ok(LockedFile::new(file, path)),
        Err(TryLockError::WouldBlock) => Err(FileStoreError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(path, error)),
    }
}

fn failed(path: &Path, error: io::Error) -> FileStoreError {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::IsADirectory => FileStoreError::Directory { path },
        ErrorKind::NotFound | ErrorKind::NotADirectory => FileStoreError::NoDirectory { path },
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            FileStoreError::Permission { path, source: error }
        }
        _ => FileStoreError::Io { path, source: error },
    }
}
