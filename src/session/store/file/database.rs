//! The database, which the store's thread writes and its callers read.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use redb::Database;
use tokio::sync::{Notify, broadcast};

use super::super::error::StoreError;
use super::super::notice::Notice;

/// The number of notices that a watcher may be behind.
const NOTICES: usize = 1_024;

/// What the thread and the handles of a store share.
#[derive(Debug)]
pub(super) struct SharedDatabase {
    state: RwLock<State>,
    /// The state has changed.
    changed: Notify,
    /// Why the last commit that failed did.
    failure: Mutex<String>,
    pub(super) notices: broadcast::Sender<Notice>,
}

/// Where the database is.
#[derive(Debug)]
pub(super) enum State {
    Open(Database),
    /// The thread has it to itself: it compacts it, or opens it again.
    Busy,
    /// It is not open, for this reason.
    Failed(String),
}

/// Why nothing was read.
#[derive(Debug)]
enum Unread {
    Busy,
    /// The thread knows it.
    Down(StoreError),
    /// redb answers nothing until the thread opens the file again.
    Latched(StoreError),
    /// What was read contradicts itself.
    Damaged(StoreError),
}

impl SharedDatabase {
    pub(super) fn new(database: Database) -> Self {
        Self {
            state: RwLock::new(State::Open(database)),
            changed: Notify::new(),
            failure: Mutex::default(),
            notices: broadcast::Sender::new(NOTICES),
        }
    }

    /// For as long as a read or a commit takes.
    pub(super) fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts another state in place of this one, which it returns.
    pub(super) fn replace(&self, state: State) -> State {
        let before = std::mem::replace(&mut *self.state_mut(), state);
        self.changed.notify_waiters();
        before
    }

    /// Reads, unless the thread has the database to itself. It does not wait for commits.
    fn try_read<T>(&self, read: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, Unread> {
        match &*self.state() {
            State::Busy => Err(Unread::Busy),
            State::Failed(cause) => Err(Unread::Down(StoreError::unavailable(cause.clone()))),
            // redb may panic on damaged pages.
            State::Open(database) => match catch_unwind(AssertUnwindSafe(|| read(database))) {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error @ (redb::Error::Io(_) | redb::Error::PreviousIo))) => {
                    Err(Unread::Latched(StoreError::unavailable(error)))
                }
                Ok(Err(error)) => Err(Unread::Damaged(StoreError::unavailable(error))),
                Err(_) => Err(Unread::Damaged(StoreError::unavailable("the session file is damaged"))),
            },
        }
    }

    /// Reads as soon as the thread does not have the database to itself. After an I/O error it
    /// calls `wake`, so that the thread opens the file again, and reads once more.
    pub(super) async fn read<T>(
        &self,
        read: impl Fn(&Database) -> Result<T, redb::Error>,
        wake: impl Fn(),
    ) -> Result<T, StoreError> {
        let mut has_failed = false;
        loop {
            let changed = self.changed.notified();
            match self.try_read(&read) {
                Ok(value) => return Ok(value),
                Err(Unread::Busy) => {}
                Err(Unread::Latched(_)) if !has_failed => {
                    has_failed = true;
                    wake();
                }
                Err(Unread::Latched(error) | Unread::Down(error) | Unread::Damaged(error)) => {
                    return Err(error);
                }
            }
            changed.await;
        }
    }

    pub(super) fn set_failure(&self, cause: String) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = cause;
    }

    /// Why a change was not answered.
    pub(super) fn unavailable(&self) -> StoreError {
        StoreError::unavailable(match &*self.state() {
            State::Failed(cause) => cause.clone(),
            _ => self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        })
    }
}
