//! Looks at the bytes of HTTP/1 for a raw `#` in a request target.
//!
//! RFC 9112, section 3.2, allows no fragment in a target. hyper cuts the target at the
//! `#`, so only the bytes show that there was one.

use std::sync::atomic::{AtomicBool, Ordering};

/// Scans the request lines of one connection.
#[derive(Debug)]
pub(super) struct RequestLineScanner {
    /// The last request line has a raw `#` in its target.
    raw_fragment: AtomicBool,
    /// No bytes have been received yet.
    untouched: AtomicBool,
}

impl Default for RequestLineScanner {
    fn default() -> Self {
        Self { raw_fragment: AtomicBool::new(false), untouched: AtomicBool::new(true) }
    }
}

impl RequestLineScanner {
    /// Scans received bytes. `is_next`: they begin a further request. Later bytes of the
    /// same head may begin with any header, and are not scanned.
    pub(super) fn scan(&self, bytes: &[u8], is_next: bool) {
        let is_first = is_next || self.untouched.load(Ordering::Relaxed);
        self.untouched.store(false, Ordering::Relaxed);
        if is_first && has_raw_fragment(bytes) {
            self.raw_fragment.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the request that hyper has just parsed had a raw `#` in its target.
    pub(super) fn take_raw_fragment(&self) -> bool {
        self.raw_fragment.load(Ordering::Relaxed) && self.raw_fragment.swap(false, Ordering::Relaxed)
    }
}

/// Whether `bytes` begin with a request line whose target has a raw `#`. A line that
/// arrives in several reads may not be recognized; then the part before the `#` is both
/// judged and sent.
fn has_raw_fragment(bytes: &[u8]) -> bool {
    let line = bytes.get(..memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())).unwrap_or_default();
    let Some(hash) = memchr::memchr(b'#', line) else { return false };
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    method.iter().all(u8::is_ascii_alphabetic) && (method.len()..=method.len() + target.len()).contains(&hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_request_line_with_a_raw_fragment_counts() {
        assert!(has_raw_fragment(b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert!(has_raw_fragment(b"GET /a#b"));
        assert!(!has_raw_fragment(b"GET /a%23b HTTP/1.1\r\nX: #\r\n\r\n"));
        assert!(!has_raw_fragment(b"User-Agent: C#\r\n\r\n"));
        assert!(!has_raw_fragment(b"# a comment in an upload"));
    }
}
