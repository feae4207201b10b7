//! The handle of a store in a file.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use redb::Database;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, oneshot};

use super::super::contract::SessionStore;
use super::super::error::StoreError;
use super::super::identifier::{OwnerKey, Revision, SessionKey};
use super::super::notice::{Notice, Notices};
use super::super::stored::{Cursor, Page, SessionRecord, StoredSession, Update};
use super::backend::LockedFile;
use super::database::SharedDatabase;
use super::error::FileStoreError;
use super::opening;
use super::tables::{self, Tables};
use super::writer::{Job, QUEUE, Reply, Writer};
use crate::clock::{Clock, UnixTime};

/// A store in one file, for one process. Clones are the same store.
///
/// A session that was begun, updated or ended is on the disk before the call is answered, and
/// survives a crash of the process or of the machine; the last second of
/// [`touch`](SessionStore::touch) may be lost. Changes that come at the same time are written
/// together. Dropping the last clone waits until everything is written.
///
/// ```no_run
/// use huggate::store::FileStore;
///
/// # fn main() -> Result<(), huggate::store::FileStoreError> {
/// let store = FileStore::open("sessions.redb")?;
/// let builder = huggate::Gate::builder().session_store(store);
/// # drop(builder);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FileStore(Arc<Inner>);

struct Inner {
    path: PathBuf,
    shared: Arc<SharedDatabase>,
    /// `None` when it is dropped.
    queue: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl FileStore {
    /// Opens the file at `path`, or makes it, readable for this user alone. Blocks for as long
    /// as that takes; after a crash, redb reads the whole file.
    ///
    /// # Errors
    /// If the file is in use, is something else, or cannot be read and written. It is as it was
    /// then.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileStoreError> {
        Self::open_with_clock(path, Clock::system())
    }

    /// As [`FileStore::open`], with the clock by which expired sessions are removed.
    ///
    /// # Errors
    /// As [`FileStore::open`].
    pub fn open_with_clock(path: impl AsRef<Path>, clock: Clock) -> Result<Self, FileStoreError> {
        let path = path.as_ref().to_owned();
        let (file, database) = opening::open(&path)?;
        Self::start(path, file, database, clock)
    }

    pub(super) fn start(
        path: PathBuf,
        file: LockedFile,
        database: Database,
        clock: Clock,
    ) -> Result<Self, FileStoreError> {
        let shared = Arc::new(SharedDatabase::new(database));
        let (queue, jobs) = mpsc::channel(QUEUE);
        let writer = Writer::new(file, Arc::clone(&shared), jobs, clock);
        let thread = spawn(writer).map_err(|source| FileStoreError::Io { path: path.clone(), source })?;
        Ok(Self(Arc::new(Inner { path, shared, queue: Some(queue), thread: Some(thread) })))
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Makes a change, and tells of it, once it is stored.
    async fn change<T: Send + 'static>(
        &self,
        is_durable: bool,
        change: impl FnOnce(&mut Tables<'_>) -> Result<(T, Option<Notice>), redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let Some(queue) = &self.0.queue else { return Err(self.0.shared.unavailable()) };
        let (answer, answered) = oneshot::channel();
        let notices = self.0.shared.notices.clone();
        let step = Box::new(move |tables: &mut Tables<'_>| {
            let (value, notice) = match change(tables) {
                Ok(changed) => changed,
                Err(error) => {
                    let _ = answer.send(Err(StoreError::unavailable(error.to_string())));
                    return Err(error);
                }
            };
            Ok(Box::new(move || {
                if let Some(notice) = notice {
                    // An error says that nobody watches.
                    let _ = notices.send(notice);
                }
                // An error says that nobody waits for the answer any more.
                let _ = answer.send(Ok(value));
            }) as Reply)
        });
        queue.send(Job { is_durable, step }).await.map_err(|_| self.0.shared.unavailable())?;
        answered.await.unwrap_or_else(|_| Err(self.0.shared.unavailable()))
    }

    /// Has the thread begin a transaction, which finds out whether redb answers.
    fn wake(&self) {
        let step = Box::new(|_: &mut Tables<'_>| Ok(Box::new(|| ()) as Reply));
        if let Some(queue) = &self.0.queue {
            // A full queue has transactions enough.
            let _ = queue.try_send(Job { is_durable: true, step });
        }
    }
}

/// The thread, which no forwarding thread waits for.
fn spawn(writer: Writer) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    thread::Builder::new().name("huggate-sessions".to_owned()).spawn(move || runtime.block_on(writer.run()))
}

impl Drop for Inner {
    fn drop(&mut self) {
        // This ends the thread.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // It catches what panics.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.0.path).finish_non_exhaustive()
    }
}

/// An error if the record is larger than any may be.
fn check_size(record: &SessionRecord) -> Result<(), StoreError> {
    if record.sealed.len() > SessionRecord::MAX_SEALED || record.summary.len() > SessionRecord::MAX_SUMMARY {
        return Err(StoreError::refused("the session is too large"));
    }
    Ok(())
}

impl SessionStore for FileStore {
    async fn create(&self, key: SessionKey, record: SessionRecord, now: UnixTime) -> Result<(), StoreError> {
        check_size(&record)?;
        let created = self.change(true, move |tables| Ok((tables.create(key, &record, now)?, None))).await?;
        if created { Ok(()) } else { Err(StoreError::refused("the session exists already")) }
    }

    async fn load(&self, key: SessionKey, now: UnixTime) -> Result<Option<StoredSession>, StoreError> {
        self.0.shared.read(|database| tables::load(database, key, now), || self.wake()).await
    }

    async fn update(
        &self,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> Result<Update, StoreError> {
        check_size(&record)?;
        let change = move |tables: &mut Tables<'_>| {
            let update = tables.update(key, expected, record, now)?;
            let is_done = matches!(update, Update::Done);
            Ok((update, is_done.then_some(Notice::Changed(key, expected.next()))))
        };
        self.change(true, change).await
    }

    async fn touch(
        &self,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        self.change(false, move |tables| Ok((tables.touch(key, last_used, expires, now)?, None))).await
    }

    async fn end(&self, key: SessionKey) -> Result<bool, StoreError> {
        let change = move |tables: &mut Tables<'_>| {
            let ended = tables.remove(key)?;
            Ok((ended, ended.then_some(Notice::Ended(key))))
        };
        self.change(true, change).await
    }

    async fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> Result<Page, StoreError> {
        let after = after.as_ref().map(Cursor::session_key).transpose()?;
        self.0.shared.read(|database| tables::list(database, of, after, now), || self.wake()).await
    }

    async fn watch(&self, notices: Notices) -> StoreError {
        let mut told = self.0.shared.notices.subscribe();
        notices.missed();
        loop {
            match told.recv().await {
                Ok(Notice::Ended(key)) => notices.ended(key),
                Ok(Notice::Changed(key, revision)) => notices.changed(key, revision),
                Ok(Notice::Missed) | Err(RecvError::Lagged(_)) => notices.missed(),
                Err(RecvError::Closed) => return StoreError::unavailable("the store was dropped"),
            }
        }
    }
}
