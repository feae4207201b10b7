//! The clock, the only source of time.
//!
//! Whatever depends on the time of day takes a [`Clock`] as an argument, so that tests can set
//! the time instead of waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch, the unit of all time claims (RFC 7519, section 2,
/// `NumericDate`) and stored times.
pub type UnixTime = u64;

/// Milliseconds since the Unix epoch.
pub(crate) type UnixMillis = u64;

/// The time of day; cheap to clone.
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
    /// A manual time, which only [`Clock::advance`] changes.
    manual: Option<Arc<AtomicU64>>,
}

impl Clock {
    /// The system clock.
    #[must_use]
    pub fn system() -> Self {
        Self { manual: None }
    }

    /// A manual clock that shows `now` until [`Clock::advance`] is called.
    #[must_use]
    pub fn manual(now: UnixTime) -> Self {
        Self { manual: Some(Arc::new(AtomicU64::new(now))) }
    }

    /// Whether [`Clock::advance`] has an effect.
    #[cfg(feature = "testing")]
    pub(crate) fn is_manual(&self) -> bool {
        self.manual.is_some()
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
    pub fn now(&self) -> UnixTime {
        match &self.manual {
            Some(now) => now.load(Ordering::Relaxed),
            // A system clock before 1970 reads as 1970: all sessions are then from the future
            // and rejected.
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        }
    }

    /// Milliseconds since the Unix epoch, for what lasts only seconds.
    #[expect(clippy::disallowed_methods, reason = "as in `now`")]
    pub(crate) fn now_millis(&self) -> UnixMillis {
        match &self.manual {
            Some(now) => now.load(Ordering::Relaxed).saturating_mul(1000),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX)),
        }
    }

    /// Advances a manual clock; does nothing to the system clock.
    pub fn advance(&self, by: Duration) {
        if let Some(now) = &self.manual {
            now.fetch_add(by.as_secs(), Ordering::Relaxed);
        }
    }
}
