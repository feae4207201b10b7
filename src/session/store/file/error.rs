//! Why a session file cannot be opened.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why [`FileStore::open`](super::FileStore::open) opened nothing. The file is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileStoreError {
    /// Another process has the file open, or another store of this one.
    #[error(
        "the session file {} is in use by another process, or by another store of this one: stop that one, or give \
         each a file of its own; processes that share sessions need Redis",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file has other content.
    #[error(
        "{} is not a session file of huggate, and stays as it is: name a file that does not exist yet",
        path.display()
    )]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of huggate made the file.
    #[error(
        "the session file {} has format {format}, and this version of huggate reads formats up to {known}: use the \
         version that made it, or another file",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format of the file.
        format: u64,
        /// The newest format that this version reads.
        known: u64,
    },
    /// The path is a directory.
    #[error("{} is a directory: name a file in it", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// The directory of the file does not exist.
    #[error("the directory of the session file {} does not exist: create it", path.display())]
    NoDirectory {
        /// The file.
        path: PathBuf,
    },
    /// This user may not read and write the file, or create it.
    #[error(
        "the session file {} cannot be read and written by this user: give it the file and its directory",
        path.display()
    )]
    Permission {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The system failed.
    #[error("the session file {} cannot be opened", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The content of the file is damaged.
    #[error(
        "the session file {} is damaged: put a copy of it back, or move it away and everybody signs in once more",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: Box<dyn Error + Send + Sync>,
    },
}
