//! Calls that run while servers change, and what they answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use huggate::store::{RedisStore, Revision, SessionStore, Update};
use tokio::task::JoinSet;

use crate::sessions::{NOW, content, key, owner, record_of};

const READERS: u32 = 4;
const WRITERS: u32 = 4;

/// Sessions that readers and writers use until [`Load::stop`].
pub(crate) struct Load {
    tasks: JoinSet<()>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_stopped: AtomicBool,
    answered: AtomicUsize,
    failed: AtomicUsize,
}

/// How many calls were answered, all of them rightly, and how many failed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) answered: usize,
    pub(crate) failed: usize,
}

impl Load {
    /// Creates `sessions` sessions; each writer has its own ones to update after them.
    pub(crate) async fn start(store: &RedisStore, sessions: u32) -> Self {
        for number in 0..sessions + WRITERS {
            store.create(key(number), record_of(owner(number), &sealed(number, 1)), NOW).await.unwrap();
        }
        Self { tasks: JoinSet::new(), shared: Arc::default() }
    }

    /// Begins to use them.
    pub(crate) fn run(&mut self, store: &RedisStore, sessions: u32) {
        for reader in 0..READERS {
            let (store, shared) = (store.clone(), Arc::clone(&self.shared));
            self.tasks.spawn(async move {
                let mut number = reader;
                while !shared.is_stopped.load(Ordering::Relaxed) {
                    number = (number + 7) % sessions;
                    match store.load(key(number), NOW).await {
                        Ok(stored) => {
                            let stored = stored.expect("a session is not lost");
                            assert_eq!(stored.record.sealed, sealed(number, 1));
                            shared.answered.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => shared.failed(&error).await,
                    }
                }
            });
        }
        for writer in 0..WRITERS {
            let (store, shared) = (store.clone(), Arc::clone(&self.shared));
            self.tasks.spawn(async move { shared.write(&store, sessions + writer).await });
        }
    }

    /// Answers so far.
    pub(crate) fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::Relaxed)
    }

    pub(crate) async fn stop(self) -> Outcome {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
        self.tasks.join_all().await;
        let load = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        Outcome { answered: load(&self.shared.answered), failed: load(&self.shared.failed) }
    }
}

impl Shared {
    async fn failed(&self, error: &huggate::store::StoreError) {
        assert!(error.is_unavailable(), "{}", crate::sessions::causes(error));
        self.failed.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }

    /// Counts a session up. An update whose answer was lost may have been done.
    async fn write(&self, store: &RedisStore, number: u32) {
        let (mut revision, mut is_unsure) = (Revision::FIRST, false);
        while !self.is_stopped.load(Ordering::Relaxed) {
            let next = record_of(owner(number), &sealed(number, revision.next().number()));
            match store.update(key(number), revision, next, NOW).await {
                Ok(Update::Done) => revision = revision.next(),
                Ok(Update::Changed(stored)) if is_unsure && stored.revision == revision.next() => {
                    assert_eq!(stored.record.sealed, sealed(number, stored.revision.number()));
                    revision = stored.revision;
                }
                Ok(wrong) => unreachable!("nobody else updates session {number}: {wrong:?}"),
                Err(error) => {
                    is_unsure = true;
                    self.failed(&error).await;
                    continue;
                }
            }
            is_unsure = false;
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        if !is_unsure {
            let stored = content(store, key(number)).await;
            assert_eq!(stored, Some((revision, sealed(number, revision.number()).into())));
        }
    }
}

fn sealed(number: u32, revision: u64) -> String {
    format!("session {number}, revision {revision}")
}
