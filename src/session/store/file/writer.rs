//! The store's thread: everything that is written to the file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::Durability;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::backend::LockedFile;
use super::database::{SharedDatabase, State};
use super::opening::open_database;
use super::tables::{Tables, has_expired, largest_size, live};
use crate::clock::Clock;

/// The maximum number of changes in the queue, and in one commit.
pub(super) const QUEUE: usize = 1_024;
/// How long a use may be without the disk having it.
const LAZY: Duration = Duration::from_secs(1);
/// How often a store without calls looks for expired sessions.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// How many sessions are looked at for that in one commit.
const SWEEP: usize = 512;
/// The pause before a file that cannot be opened is tried again. It doubles up to
/// [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Compacting takes time in proportion to the sessions, and calls wait for it. With more than
/// this it is left to the next start.
const COMPACTED_WHILE_OPEN: u64 = 4 * 1024 * 1024;

/// Answers a caller, once the change is stored.
pub(super) type Reply = Box<dyn FnOnce() + Send>;
/// One change.
pub(super) type Step = Box<dyn FnOnce(&mut Tables<'_>) -> Result<Reply, redb::Error> + Send>;

/// A change, and whether its answer says that the disk has it. A job that is dropped was not
/// done.
pub(super) struct Job {
    pub(super) is_durable: bool,
    pub(super) step: Step,
}

/// The state of the thread.
pub(super) struct Writer {
    file: LockedFile,
    shared: Arc<SharedDatabase>,
    queue: mpsc::Receiver<Job>,
    clock: Clock,
    /// Since when there is something that the disk does not have.
    unsynced: Option<Instant>,
    swept: Instant,
    /// When a file that is not open is tried again, and the pause after that.
    retry: Option<(Instant, Duration)>,
    /// The last commit failed: the disk may be full.
    is_doubtful: bool,
    /// The bytes that the sessions take.
    live: u64,
    /// The size to which the file could be compacted last.
    compacted: u64,
}

impl Writer {
    pub(super) fn new(
        file: LockedFile,
        shared: Arc<SharedDatabase>,
        queue: mpsc::Receiver<Job>,
        clock: Clock,
    ) -> Self {
        let now = Instant::now();
        let live = match &*shared.state() {
            State::Open(database) => live(database).unwrap_or(0),
            _ => 0,
        };
        Self {
            file,
            shared,
            queue,
            clock,
            unsynced: None,
            swept: now.checked_sub(SWEEP_INTERVAL).unwrap_or(now),
            retry: None,
            is_doubtful: false,
            live,
            compacted: 0,
        }
    }

    /// Writes what comes until the last handle is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let mut jobs = Vec::new();
            match timeout(self.until_due(), self.queue.recv_many(&mut jobs, QUEUE)).await {
                Ok(0) => break,
                Ok(_) => self.commit(jobs),
                Err(_) => self.do_due(),
            }
            self.compact_if_large();
        }
        if self.unsynced.is_some() {
            self.commit(Vec::new());
        }
        // Closing writes what the next start would otherwise find out.
        close(self.shared.replace(State::Failed("the store was dropped".to_owned())));
    }

    /// How long the queue can be waited for.
    fn until_due(&self) -> Duration {
        let sweep = SWEEP_INTERVAL.saturating_sub(self.swept.elapsed());
        let sync = self.unsynced.map_or(LAZY * 10, |since| LAZY.saturating_sub(since.elapsed()));
        let retry = self.retry.map_or(sweep, |(at, _)| at.saturating_duration_since(Instant::now()));
        sweep.min(sync).min(retry)
    }

    fn do_due(&mut self) {
        if self.retry.is_some() {
            self.open_if_due();
        } else if self.unsynced.is_some() || self.has_expired() {
            self.commit(Vec::new());
        } else {
            self.swept = Instant::now();
        }
    }

    /// Whether a transaction has something to remove. An error is the transaction's to find.
    fn has_expired(&self) -> bool {
        let State::Open(database) = &*self.shared.state() else { return false };
        let found = || has_expired(database, self.clock.now()).unwrap_or(true);
        catch_unwind(AssertUnwindSafe(found)).unwrap_or(true)
    }

    /// Makes all changes in one transaction, removes what has expired, and answers.
    fn commit(&mut self, jobs: Vec<Job>) {
        if !self.open_if_due() {
            return;
        }
        let is_late = self.unsynced.is_some_and(|since| since.elapsed() >= LAZY);
        let is_durable = jobs.is_empty() || is_late || jobs.iter().any(|job| job.is_durable);
        let (mut jobs, mut replies) = (jobs.into_iter(), Vec::new());
        let made = AssertUnwindSafe(|| self.transact(&mut jobs, &mut replies, is_durable));
        let panicked = |_| Err(redb::Error::Corrupted("a transaction panicked".to_owned()));
        match catch_unwind(made).unwrap_or_else(panicked) {
            Ok(()) => {
                self.is_doubtful = false;
                self.unsynced = if is_durable { None } else { self.unsynced.or(Some(Instant::now())) };
                for reply in replies {
                    reply();
                }
            }
            // What is left of the jobs is dropped after it, and tells their callers.
            Err(error) => self.fail(&error),
        }
    }

    fn transact(
        &mut self,
        jobs: &mut impl Iterator<Item = Job>,
        replies: &mut Vec<Reply>,
        is_durable: bool,
    ) -> Result<(), redb::Error> {
        if self.is_doubtful {
            self.file.probe()?;
        }
        let state = self.shared.state();
        let State::Open(database) = &*state else { return Err(redb::Error::DatabaseClosed) };
        let mut writing = database.begin_write()?;
        writing.set_durability(if is_durable { Durability::Immediate } else { Durability::None })?;
        let mut tables = Tables::open(&writing)?;
        for job in jobs {
            replies.push((job.step)(&mut tables)?);
        }
        if is_durable {
            // More than the changes can have added.
            let limit = SWEEP + replies.len();
            let seen = tables.sweep(self.clock.now(), limit)?;
            // What is left comes with the next commit, at once if nothing else does.
            let now = Instant::now();
            self.swept = if seen < limit { now } else { now.checked_sub(SWEEP_INTERVAL).unwrap_or(now) };
        }
        self.live = tables.close()?;
        writing.commit()?;
        Ok(())
    }

    /// Whether the database is open. One that failed is opened again, at growing intervals.
    fn open_if_due(&mut self) -> bool {
        let Some((at, pause)) = self.retry else { return true };
        if Instant::now() < at {
            return false;
        }
        let opened = self.file.rewrite_unsynced().map_err(redb::Error::from);
        match opened.and_then(|()| open_database(&self.file)) {
            Ok(database) => {
                self.retry = None;
                self.shared.replace(State::Open(database));
                true
            }
            Err(error) => {
                self.retry = Some((Instant::now() + pause, (pause * 2).min(LONGEST_PAUSE)));
                self.shared.replace(State::Failed(error.to_string()));
                false
            }
        }
    }

    /// After an error, redb answers nothing until the file is opened again.
    fn fail(&mut self, error: &redb::Error) {
        let cause = error.to_string();
        if !self.is_doubtful {
            tracing::error!(reason = %cause, "the session file cannot be written; trying again");
        }
        self.is_doubtful = true;
        self.unsynced = None;
        self.shared.set_failure(cause);
        // Reads wait until it is known whether the file can be opened again.
        close(self.shared.replace(State::Busy));
        self.retry = Some((Instant::now(), PAUSE));
        self.open_if_due();
    }

    /// Gives the disk back what many sessions took that are gone.
    fn compact_if_large(&mut self) {
        let size = self.file.size().unwrap_or(0);
        let is_large = size > largest_size(self.live) && size > self.compacted.saturating_mul(2);
        if !is_large || self.live > COMPACTED_WHILE_OPEN || self.retry.is_some() || !self.queue.is_empty() {
            return;
        }
        let State::Open(mut database) = self.shared.replace(State::Busy) else { return };
        let compacted = catch_unwind(AssertUnwindSafe(|| database.compact()));
        self.shared.replace(State::Open(database));
        self.unsynced = None;
        self.compacted = self.file.size().unwrap_or(u64::MAX);
        match compacted {
            Ok(Ok(_)) => {
                tracing::debug!(before = size, after = self.compacted, "the session file was compacted");
            }
            Ok(Err(error)) => self.fail(&error.into()),
            Err(_) => self.fail(&redb::Error::Corrupted("compacting panicked".to_owned())),
        }
    }
}

/// Closing after an error may find the database as the error left it.
fn close(state: State) {
    let closed = catch_unwind(AssertUnwindSafe(|| drop(state)));
    if closed.is_err() {
        tracing::debug!("the session file was not closed cleanly; it is repaired when it is opened");
    }
}
