//! The only source of time.
//!
//! Everything that depends on the time of day asks a [`Clock`], which comes in
//! as an argument: a test sets it by a number instead of waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch: the unit of every time claim (RFC 7519,
/// section 2, `NumericDate`) and of every time we store.
pub type UnixTime = u64;

/// Tells the time of day; cheap to clone.
///
/// ```
/// use huggate::clock::Clock;
///
/// let clock = Clock::manual(1_790_000_000);
/// clock.advance(std::time::Duration::from_secs(60));
/// assert_eq!(clock.now(), 1_790_000_060);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Clock {
    /// Present: the time is this number of seconds and moves only by hand.
    manual: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self { manual: None }
    }

    /// A clock that stands at `now` until it is moved by [`Clock::advance`].
    #[must_use]
    pub fn manual(now: UnixTime) -> Self {
        Self { manual: Some(Arc::new(AtomicU64::new(now))) }
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
    pub fn now(&self) -> UnixTime {
        match &self.manual {
            Some(now) => now.load(Ordering::Relaxed),
            // A system clock before 1970 reads as 1970: every session is then
            // from the future, and refused.
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        }
    }

    /// Moves a manual clock forward; the system's clock is left alone.
    pub fn advance(&self, by: Duration) {
        if let Some(now) = &self.manual {
            now.fetch_add(by.as_secs(), Ordering::Relaxed);
        }
    }
}
