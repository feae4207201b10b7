//! Failed accepts: which of them another accept would only repeat.

use std::io;

/// The process or the system has no descriptor left (`EMFILE`, `ENFILE`),
const DESCRIPTORS: [i32; 2] = [24, 23];
/// or the kernel no memory (`ENOMEM`, `ENOBUFS`).
const MEMORY: [i32; 2] = [12, if cfg!(any(target_os = "linux", target_os = "android")) { 105 } else { 55 }];
/// After as many failures in a row, the listener itself is broken.
const MAX_IN_A_ROW: u32 = 16;

/// Counts the failures of one listener.
#[derive(Debug, Default)]
pub(super) struct AcceptErrors {
    in_a_row: u32,
}

/// What to do after a failed accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterError {
    /// Accept again. The error is one connection's, such as a client that has already left
    /// (`ECONNABORTED`).
    Continue,
    /// Wait first.
    Wait {
        /// A connection has to close before another one can be accepted.
        exhausted: bool,
    },
}

impl AcceptErrors {
    pub(super) fn succeeded(&mut self) {
        self.in_a_row = 0;
    }

    pub(super) fn failed(&mut self, error: &io::Error) -> AfterError {
        self.in_a_row = self.in_a_row.saturating_add(1);
        match error.raw_os_error() {
            Some(code) if DESCRIPTORS.contains(&code) || MEMORY.contains(&code) => {
                AfterError::Wait { exhausted: true }
            }
            _ if self.in_a_row > MAX_IN_A_ROW => AfterError::Wait { exhausted: false },
            _ => AfterError::Continue,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exhaustion_waits_and_what_repeats_without_an_end() {
        let mut errors = AcceptErrors::default();
        for (code, expected) in [
            (24, AfterError::Wait { exhausted: true }),
            (23, AfterError::Wait { exhausted: true }),
            (12, AfterError::Wait { exhausted: true }),
            // ECONNABORTED, EPROTO, EPERM (a firewall's rule), EHOSTUNREACH.
            (103, AfterError::Continue),
            (71, AfterError::Continue),
            (1, AfterError::Continue),
            (113, AfterError::Continue),
        ] {
            assert_eq!(errors.failed(&io::Error::from_raw_os_error(code)), expected, "{code}");
        }
        errors.succeeded();
        let aborted = io::Error::from_raw_os_error(103);
        let waits = (0..100).find(|_| errors.failed(&aborted) != AfterError::Continue);
        assert_eq!(waits, Some(16), "a broken listener must not occupy its thread");
        errors.succeeded();
        assert_eq!(errors.failed(&aborted), AfterError::Continue);
    }
}
