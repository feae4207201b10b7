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

/// A time as `2026-08-04T12:00:00Z` (RFC 3339); a time after the year 9999 as that year's end.
pub(crate) fn rfc3339(time: UnixTime) -> String {
    const LAST: i64 = 253_402_300_799;
    let seconds = i64::try_from(time).unwrap_or(LAST).min(LAST);
    let time = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    let (date, (hour, minute, second)) = (time.date(), time.to_hms());
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

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
