//! Detects HTTP/2 rapid reset (CVE-2023-44487): a client that cancels most of its
//! requests before they are answered.

use std::sync::atomic::{AtomicU32, Ordering};

/// How many requests a connection may cancel before their share counts.
const MIN_RESETS: u32 = 200;

/// Counts the requests of one connection, and how many of them the client has canceled.
#[derive(Debug, Default)]
pub(super) struct RapidResetDetector {
    requests: AtomicU32,
    resets: AtomicU32,
}

impl RapidResetDetector {
    pub(super) fn record_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Records a canceled request. `Some`, with the number of resets, if it is an attack:
    /// more than [`MIN_RESETS`], and more than half of all requests.
    pub(super) fn record_reset(&self) -> Option<u32> {
        let resets = self.resets.fetch_add(1, Ordering::Relaxed) + 1;
        let is_attack = resets > MIN_RESETS && resets > self.requests.load(Ordering::Relaxed) / 2;
        is_attack.then_some(resets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_cancels_most_requests_is_detected() {
        let detector = RapidResetDetector::default();
        for _ in 0..MIN_RESETS {
            detector.record_request();
            assert_eq!(detector.record_reset(), None);
        }
        detector.record_request();
        assert_eq!(detector.record_reset(), Some(MIN_RESETS + 1));
    }

    #[test]
    fn a_client_that_cancels_half_of_its_requests_is_not() {
        let detector = RapidResetDetector::default();
        for number in 0..MIN_RESETS * 4 {
            detector.record_request();
            if number % 2 == 1 {
                assert_eq!(detector.record_reset(), None);
            }
        }
    }
}
