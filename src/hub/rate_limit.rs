//! Rate limits: so many requests from an address in five minutes.

use std::collections::HashMap;
use std::hash::Hash;

use axum::http::{HeaderMap, HeaderValue};

use crate::clock::UnixTime;

/// The length of a window, in seconds (card, section 6).
const WINDOW: u64 = 300;
/// The most addresses that are counted; a loopback has few.
const MAX_ADDRESSES: usize = 4096;

/// How many requests each caller made in the current window.
#[derive(Debug)]
pub(super) struct RateLimiter<K> {
    /// The start of the current window.
    start: UnixTime,
    /// Requests since then.
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

/// Where a caller stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RateLimitStatus {
    /// This request is one too many.
    pub(super) exceeded: bool,
    /// Requests left.
    pub(super) remaining: u64,
    /// Seconds until the window ends.
    pub(super) reset: u64,
    /// Requests in a window.
    pub(super) quota: u64,
}

impl RateLimitStatus {
    /// A caller who has used everything up.
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
    fn a_caller_gets_the_quota_once_per_window() {
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
