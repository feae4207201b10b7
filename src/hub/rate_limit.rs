//! Rate limiting of the API: a quota of requests per address in fixed windows of five minutes.

use std::collections::HashMap;
use std::hash::Hash;

use axum::http::{HeaderMap, HeaderValue};

use crate::clock::UnixTime;

/// Length of a window, in seconds.
const WINDOW: u64 = 300;
/// Maximum number of tracked addresses; loopback has few.
const MAX_ADDRESSES: usize = 4096;

/// Request counts per caller in the current window.
#[derive(Debug)]
pub(super) struct RateLimiter<K> {
    /// Start of the current window.
    start: UnixTime,
    /// Requests since then, per caller.
    counts: HashMap<K, u64>,
}

impl<K> Default for RateLimiter<K> {
    fn default() -> Self {
        Self { start: 0, counts: HashMap::new() }
    }
}

impl<K: Eq + Hash> RateLimiter<K> {
    /// Counts a request.
    pub(super) fn count(&mut self, caller: K, quota: u64, now: UnixTime) -> RateLimitStatus {
        let start = now - now % WINDOW;
        if self.start != start || self.counts.len() >= MAX_ADDRESSES {
            self.start = start;
            self.counts.clear();
        }
        let count = self.counts.entry(caller).or_default();
        *count += 1;
        RateLimitStatus {
            exceeded: *count > quota,
            remaining: quota.saturating_sub(*count),
            reset: start + WINDOW - now,
            quota,
        }
    }
}

/// A caller's rate-limit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateLimitStatus {
    /// Whether this request exceeds the quota.
    pub(super) exceeded: bool,
    /// Requests left.
    pub(super) remaining: u64,
    /// Seconds until the window ends.
    pub(super) reset: u64,
    /// Requests allowed per window.
    pub(super) quota: u64,
}

impl RateLimitStatus {
    /// The status of a caller with an exhausted quota.
    pub(super) fn used_up(quota: u64, now: UnixTime) -> Self {
        Self { exceeded: true, remaining: 0, reset: WINDOW - now % WINDOW, quota }
    }

    /// Writes the headers (draft-ietf-httpapi-ratelimit-headers).
    pub(super) fn write(self, headers: &mut HeaderMap) {
        let limit = format!("\"api\";r={};t={}", self.remaining, self.reset);
        let policy = format!("\"fixed window\";\"api\";q={};w={WINDOW}", self.quota);
        for (name, value) in [("ratelimit", limit), ("ratelimit-policy", policy)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quota_is_renewed_in_every_window() {
        let mut rate_limiter = RateLimiter::default();
        assert_eq!(
            rate_limiter.count("a", 2, 310),
            RateLimitStatus { exceeded: false, remaining: 1, reset: 290, quota: 2 }
        );
        assert!(!rate_limiter.count("a", 2, 320).exceeded);
        assert!(rate_limiter.count("a", 2, 330).exceeded);
        assert!(!rate_limiter.count("b", 2, 330).exceeded);
        assert!(!rate_limiter.count("a", 2, 600).exceeded);
    }
}
