//! The file, as redb reads and writes it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::StorageBackend;

/// How much has to fit on the disk before a store that could not write tries again.
const PROBE: usize = 256 * 1024;
/// How much is copied at once.
const CHUNK: usize = 1024 * 1024;

/// An open and locked file. redb closes it after each failure, and gets it again: the lock
/// belongs to this value, so that no other process takes the file in between.
#[derive(Debug, Clone)]
pub(super) struct LockedFile(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: File,
    /// Where the space on the disk is tried out.
    probe: PathBuf,
    /// The system did not say that what was written is on the disk.
    sync_failed: AtomicBool,
    #[cfg(test)]
    faults: super::faults::Faults,
}

impl Drop for Shared {
    /// Closing alone would not end the lock at once if another thread starts a process: that has
    /// a copy of each descriptor until it runs its program.
    fn drop(&mut self) {
        // Without a lock there is nothing to end.
        let _ = self.file.unlock();
    }
}

impl LockedFile {
    /// The file at `path`, which the caller has locked.
    pub(super) fn new(file: File, path: &Path) -> Self {
        Self(Arc::new(Shared {
            file,
            probe: beside(path, ".huggate-probe"),
            sync_failed: AtomicBool::new(false),
            #[cfg(test)]
            faults: super::faults::Faults::default(),
        }))
    }

    /// The file itself, for what redb has no part in.
    pub(super) fn file(&self) -> &File {
        &self.0.file
    }

    #[cfg(test)]
    pub(super) fn faults(&self) -> &super::faults::Faults {
        &self.0.faults
    }

    /// The length of the file, in bytes.
    pub(super) fn size(&self) -> io::Result<u64> {
        Ok(self.0.file.metadata()?.len())
    }

    /// An error if the disk has no room for a few pages more. They go to a file that has no
    /// name any more: redb refuses one of its own that ends in the middle of a page.
    pub(super) fn probe(&self) -> io::Result<()> {
        #[cfg(test)]
        self.0.faults.check(self.size()? + PROBE as u64)?;
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let probe = match options.open(&self.0.probe) {
            // The directory is not writable. The next commit finds out.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(()),
            probe => probe?,
        };
        fs::remove_file(&self.0.probe)?;
        probe.write_all_at(&vec![0; PROBE], 0)?;
        probe.sync_data()
    }

    /// Writes everything once more if the system failed to: it drops what it could not write,
    /// and does not try again by itself.
    pub(super) fn rewrite_unsynced(&self) -> io::Result<()> {
        if !self.0.sync_failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let (size, mut offset) = (self.size()?, 0);
        let mut chunk = vec![0; CHUNK];
        while offset < size {
            let count = self.0.file.read_at(&mut chunk, offset)?;
            let Some(read) = chunk.get(..count).filter(|read| !read.is_empty()) else { break };
            self.put(offset, read)?;
            offset += read.len() as u64;
        }
        self.0.file.sync_data()?;
        self.0.sync_failed.store(false, Ordering::Release);
        Ok(())
    }

    fn put(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        #[cfg(test)]
        self.0.faults.check(offset + data.len() as u64)?;
        self.0.file.write_all_at(data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        let synced = self.0.faults.check_sync().and_then(|()| self.0.file.sync_data());
        #[cfg(not(test))]
        let synced = self.0.file.sync_data();
        if synced.is_err() {
            self.0.sync_failed.store(true, Ordering::Release);
        }
        synced
    }
}

/// The path of a file beside the one at `path`.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Without locks of redb's own: the caller has locked the file.
impl StorageBackend for LockedFile {
    fn len(&self) -> io::Result<u64> {
        self.size()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        #[cfg(test)]
        self.0.faults.check(len)?;
        self.0.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.put(offset, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_ends_with_the_store_though_a_process_that_starts_has_the_descriptor_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sessions.redb");
        let file = File::create(&path).unwrap();
        file.try_lock().unwrap();
        // As a fork has it.
        let copy = file.try_clone().unwrap();
        drop(LockedFile::new(file, &path));
        File::open(&path).unwrap().try_lock().unwrap();
        drop(copy);
    }
}
