//! A gate's access to its store: each call has a time limit, and a store that does not
//! answer costs the gate one of them, not one for each request.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::contract::{CustomStore, StoreObject};
use super::error::{StoreDown, StoreError};
use super::identifier::{OwnerKey, Revision, SessionKey};
use super::notice::{Notice, Notices};
use super::stored::{Cursor, Page, SessionRecord, StoredSession, Update};
use crate::clock::UnixTime;
use crate::keys::random;

/// The pause before a store that does not answer is asked again, and before a watch that
/// ended is begun again. It doubles up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How many times longer an operator waits for an answer than a request does.
const PATIENCE: u32 = 10;
/// A watch that lasted this long has worked.
const WORKED: Duration = Duration::from_secs(10);

/// What happens in a store, or to it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StoreEvent {
    Notice(Notice),
    /// It answers again.
    Back,
}

/// Who hears of it.
pub(crate) trait StoreObserver: Send + Sync {
    fn observe(&self, event: StoreEvent);
}

/// A server-side store, as one gate uses it.
pub(crate) struct StoreAccess {
    store: Arc<dyn StoreObject>,
    timeout_millis: AtomicU64,
    /// Whether it answered last.
    up: watch::Sender<bool>,
    /// The gate in force.
    observer: Mutex<Option<Weak<dyn StoreObserver>>>,
    started: AtomicBool,
    watching: OnceLock<AbortHandle>,
}

impl StoreAccess {
    pub(crate) fn new(store: CustomStore, timeout: Duration) -> Arc<Self> {
        let access = Self {
            store: store.0,
            timeout_millis: AtomicU64::new(0),
            up: watch::Sender::new(true),
            observer: Mutex::new(None),
            started: AtomicBool::new(false),
            watching: OnceLock::new(),
        };
        access.set_timeout(timeout);
        Arc::new(access)
    }

    pub(crate) fn set_timeout(&self, timeout: Duration) {
        let millis = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        self.timeout_millis.store(millis, Ordering::Relaxed);
    }

    /// Tells `observer` from now on, in place of the one before.
    pub(crate) fn tell(self: &Arc<Self>, observer: Weak<dyn StoreObserver>) {
        *self.observer.lock().unwrap_or_else(PoisonError::into_inner) = Some(observer);
        self.start();
    }

    /// Whether the store answered last.
    pub(crate) fn is_up(&self) -> bool {
        *self.up.borrow()
    }

    pub(crate) async fn create(
        self: &Arc<Self>,
        key: SessionKey,
        record: SessionRecord,
        now: UnixTime,
    ) -> Result<(), StoreDown> {
        self.call("create", || self.store.create(key, record, now)).await
    }

    pub(crate) async fn load(
        self: &Arc<Self>,
        key: SessionKey,
        now: UnixTime,
    ) -> Result<Option<StoredSession>, StoreDown> {
        self.call("load", || self.store.load(key, now)).await
    }

    pub(crate) async fn update(
        self: &Arc<Self>,
        key: SessionKey,
        expected: Revision,
        record: SessionRecord,
        now: UnixTime,
    ) -> Result<Update, StoreDown> {
        self.call("update", || self.store.update(key, expected, record, now)).await
    }

    pub(crate) async fn touch(
        self: &Arc<Self>,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Result<(), StoreDown> {
        self.call("touch", || self.store.touch(key, last_used, expires, now)).await
    }

    pub(crate) async fn end(self: &Arc<Self>, key: SessionKey) -> Result<bool, StoreDown> {
        self.call("end", || self.store.end(key)).await
    }

    /// A page of a list. Operators ask for it, so the store gets more time for it, and a page
    /// that takes too long does not count as a store that does not answer.
    pub(crate) async fn list(
        &self,
        of: Option<OwnerKey>,
        after: Option<Cursor>,
        now: UnixTime,
    ) -> Result<Page, StoreError> {
        self.patiently(self.store.list(of, after, now)).await
    }

    /// The same for a single session.
    pub(crate) async fn look_up(
        &self,
        key: SessionKey,
        now: UnixTime,
    ) -> Result<Option<StoredSession>, StoreError> {
        self.patiently(self.store.load(key, now)).await
    }

    /// Ends a session that an operator or its owner names.
    pub(crate) async fn remove(&self, key: SessionKey) -> Result<bool, StoreError> {
        self.patiently(self.store.end(key)).await
    }

    /// Stores a record, or raises the times of the one that is there.
    #[cfg(feature = "redis-store")]
    pub(crate) async fn put(
        &self,
        key: SessionKey,
        record: SessionRecord,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let (last_used, expires) = (record.last_used, record.expires);
        self.patiently(async {
            match self.store.create(key, record, now).await {
                Err(error) if !error.is_unavailable() => self.store.touch(key, last_used, expires, now).await,
                answer => answer,
            }
        })
        .await
    }

    async fn patiently<T>(&self, call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let limit = Duration::from_millis(self.timeout_millis.load(Ordering::Relaxed)) * PATIENCE;
        match timeout(limit, call).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::unavailable(format!("no answer within {} ms", limit.as_millis()))),
        }
    }

    /// One call. It fails at once while the store does not answer, and as soon as another
    /// call finds that out.
    async fn call<T, F>(
        self: &Arc<Self>,
        operation: &'static str,
        begin: impl FnOnce() -> F,
    ) -> Result<T, StoreDown>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        self.start();
        let mut up = self.up.subscribe();
        if !*up.borrow_and_update() {
            return Err(StoreDown);
        }
        let limit = Duration::from_millis(self.timeout_millis.load(Ordering::Relaxed));
        let answer = tokio::select! {
            biased;
            answer = timeout(limit, begin()) => answer,
            _ = up.wait_for(|up| !up) => return Err(StoreDown),
        };
        match answer {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if !error.is_unavailable() => {
                tracing::error!(operation, reason = %causes(&error), "the session store refused a call");
                Err(StoreDown)
            }
            Ok(Err(error)) => {
                self.lose(operation, &causes(&error));
                Err(StoreDown)
            }
            Err(_) => {
                self.lose(operation, &format!("no answer within {} ms", limit.as_millis()));
                Err(StoreDown)
            }
        }
    }

    /// Notes that the store does not answer, and asks it until it does.
    fn lose(self: &Arc<Self>, operation: &'static str, reason: &str) {
        if !self.up.send_replace(false) {
            return;
        }
        tracing::error!(
            operation, %reason,
            "the session store does not answer: sessions in use go on for session.store_grace, others get 503",
        );
        let access = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut pause = PAUSE;
            loop {
                sleep(jittered(pause)).await;
                let Some(access) = access.upgrade() else { return };
                if access.answers().await {
                    access.up.send_replace(true);
                    tracing::info!("the session store answers again");
                    access.observe(StoreEvent::Back);
                    return;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        });
    }

    /// Whether the store knows that it does not have some session.
    async fn answers(&self) -> bool {
        let limit = Duration::from_millis(self.timeout_millis.load(Ordering::Relaxed));
        let nobody = SessionKey::from_bytes(random());
        matches!(timeout(limit, self.store.load(nobody, 0)).await, Ok(Ok(_)))
    }

    /// Asks the store whether it is there, and watches it for as long as this value lives. A
    /// gate can be made outside of a runtime; then its first call does this.
    fn start(self: &Arc<Self>) {
        if self.started.load(Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        if self.started.swap(true, Ordering::Relaxed) {
            return;
        }
        let (store, access) = (Arc::clone(&self.store), Arc::downgrade(self));
        let watching = runtime.spawn(keep_watching(store, access, self.up.subscribe()));
        // It is set once, since it was started once.
        let _ = self.watching.set(watching.abort_handle());
        let access = Arc::clone(self);
        runtime.spawn(async move {
            let nobody = SessionKey::from_bytes(random());
            // The call itself notes what it finds.
            let _ = access.load(nobody, 0).await;
        });
    }

    fn observe(&self, event: StoreEvent) {
        let observer = self.observer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(observer) = observer.and_then(|observer| observer.upgrade()) {
            observer.observe(event);
        }
    }
}

impl Drop for StoreAccess {
    fn drop(&mut self) {
        if let Some(watching) = self.watching.get() {
            watching.abort();
        }
    }
}

impl fmt::Debug for StoreAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreAccess").field("up", &self.is_up()).finish_non_exhaustive()
    }
}

/// Watches the store, again and again.
async fn keep_watching(
    store: Arc<dyn StoreObject>,
    access: Weak<StoreAccess>,
    mut up: watch::Receiver<bool>,
) {
    let mut pause = PAUSE;
    loop {
        let begun = Instant::now();
        let told = access.clone();
        let notices = Notices::new(move |notice| {
            if let Some(access) = told.upgrade() {
                access.observe(StoreEvent::Notice(notice));
            }
        });
        let error = store.watch(notices).await;
        let Some(known) = access.upgrade() else { return };
        known.observe(StoreEvent::Notice(Notice::Missed));
        drop(known);
        tracing::debug!(reason = %causes(&error), "the session store is no longer watched; trying again");
        if begun.elapsed() >= WORKED {
            pause = PAUSE;
        }
        // Sessions that end before it is watched again are known here for the age of the cache.
        tokio::select! {
            () = sleep(jittered(pause)) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = is_back(&mut up) => pause = PAUSE,
        }
    }
}

/// Waits until a store that did not answer does.
async fn is_back(up: &mut watch::Receiver<bool>) {
    up.mark_unchanged();
    while up.changed().await.is_ok() {
        if *up.borrow_and_update() {
            return;
        }
    }
    // The access is gone, as the watch will find.
    std::future::pending().await
}

/// Between three quarters and five quarters of `pause`, so that replicas do not ask at once.
fn jittered(pause: Duration) -> Duration {
    let [byte] = random();
    pause * 3 / 4 + pause * u32::from(byte) / 510
}

/// What caused an error, and what caused that.
fn causes(error: &StoreError) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::super::contract::SessionStore;
    use super::super::identifier::{OwnerKey, Revision};
    use super::*;

    /// A store that does not answer, and can be watched once it did.
    #[derive(Default, Clone)]
    struct Away(Arc<Answered>);

    #[derive(Default)]
    struct Answered {
        is_up: AtomicBool,
        has_answered: AtomicBool,
        watches: AtomicUsize,
        is_watched: AtomicBool,
    }

    fn away() -> StoreError {
        StoreError::unavailable("it is away")
    }

    impl SessionStore for Away {
        async fn create(&self, _: SessionKey, _: SessionRecord, _: UnixTime) -> Result<(), StoreError> {
            Err(away())
        }

        async fn load(&self, _: SessionKey, _: UnixTime) -> Result<Option<StoredSession>, StoreError> {
            if !self.0.is_up.load(Ordering::SeqCst) {
                return Err(away());
            }
            self.0.has_answered.store(true, Ordering::SeqCst);
            Ok(None)
        }

        async fn update(
            &self,
            _: SessionKey,
            _: Revision,
            _: SessionRecord,
            _: UnixTime,
        ) -> Result<Update, StoreError> {
            Err(away())
        }

        async fn touch(
            &self,
            _: SessionKey,
            _: UnixTime,
            _: UnixTime,
            _: UnixTime,
        ) -> Result<(), StoreError> {
            Err(away())
        }

        async fn end(&self, _: SessionKey) -> Result<bool, StoreError> {
            Err(away())
        }

        async fn list(
            &self,
            _: Option<OwnerKey>,
            _: Option<Cursor>,
            _: UnixTime,
        ) -> Result<Page, StoreError> {
            Err(away())
        }

        async fn watch(&self, _: Notices) -> StoreError {
            self.0.watches.fetch_add(1, Ordering::SeqCst);
            if self.0.has_answered.load(Ordering::SeqCst) {
                self.0.is_watched.store(true, Ordering::SeqCst);
                std::future::pending::<()>().await;
            }
            away()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_answers_again_is_watched_at_once() {
        let store = Away::default();
        let access = StoreAccess::new(CustomStore::new(store.clone()), Duration::from_secs(1));
        access.start();
        // Both pauses have grown to the longest.
        sleep(LONGEST_PAUSE * 20).await;
        assert!(!access.is_up() && store.0.watches.load(Ordering::SeqCst) < 40);
        store.0.is_up.store(true, Ordering::SeqCst);
        while !access.is_up() {
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_millis(10)).await;
        assert!(store.0.is_watched.load(Ordering::SeqCst));
    }
}
