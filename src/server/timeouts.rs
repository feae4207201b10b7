//! Closes slow and idle clients: `timeouts.header`, `timeouts.idle`, `timeouts.stream`.

use std::time::Duration;

use tokio::time::Instant;

use super::connection_registry::ConnectionRegistry;
use super::connection_state::{ConnectionState, Phase};

/// How often all connections are checked: an eighth of the shortest timeout, within
/// these bounds.
const MIN_INTERVAL: Duration = Duration::from_millis(5);
const MAX_INTERVAL: Duration = Duration::from_millis(250);

/// How long a connection may be in each phase.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// For the head of a request, from its first byte, or from the connection's start.
    pub(super) header: Duration,
    /// Between requests.
    pub(super) idle: Duration,
    /// While requests are in flight and no bytes move.
    pub(super) stream: Duration,
}

impl Timeouts {
    /// Why the connection has to be closed, if a timeout has passed.
    fn expired(&self, connection: &ConnectionState) -> Option<&'static str> {
        let (phase, inactive) = connection.inactive();
        let (limit, reason) = match phase {
            Phase::Headers => (self.header, "the request headers did not arrive within timeouts.header"),
            Phase::Idle => (self.idle, "it was idle for timeouts.idle"),
            Phase::Busy => (self.stream, "no data was transferred for timeouts.stream"),
            Phase::Tunnel => return None,
        };
        (inactive >= limit && !connection.close_signal().is_aborted()).then_some(reason)
    }

    fn check_interval(&self) -> Duration {
        (self.header.min(self.idle).min(self.stream) / 8).clamp(MIN_INTERVAL, MAX_INTERVAL)
    }
}

/// Sets the registry's clock and closes connections whose timeout has passed, forever.
/// `timeouts` returns the current settings.
pub(super) async fn enforce(registry: &ConnectionRegistry, timeouts: impl Fn() -> Timeouts) {
    let started = Instant::now();
    loop {
        let timeouts = timeouts();
        tokio::time::sleep(timeouts.check_interval()).await;
        let now = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        registry.clock().set(now);
        registry.for_each(|connection| {
            if let Some(reason) = timeouts.expired(connection) {
                tracing::debug!("closing a client connection: {reason}");
                connection.close_signal().abort();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::coarse_clock::CoarseClock;
    use super::*;

    const TIMEOUTS: Timeouts = Timeouts {
        header: Duration::from_millis(100),
        idle: Duration::from_millis(1_000),
        stream: Duration::from_millis(10_000),
    };

    #[test]
    fn each_phase_has_a_timeout_of_its_own() {
        let clock = Arc::new(CoarseClock::default());
        let connection = ConnectionState::new(Arc::clone(&clock), Arc::default());
        let expired = || TIMEOUTS.expired(&connection).is_some();
        clock.set(99);
        assert!(!expired());
        clock.set(100);
        assert!(expired(), "a client that sends nothing is closed too");
        connection.begin_request();
        clock.set(10_099);
        assert!(!expired());
        connection.received();
        clock.set(20_098);
        assert!(!expired(), "bytes were received in between");
        connection.end_request(true);
        clock.set(21_097);
        assert!(!expired());
        clock.set(21_098);
        assert!(expired());
        connection.received();
        clock.set(21_150);
        connection.received();
        clock.set(21_198);
        assert!(expired(), "sending byte by byte does not extend timeouts.header");
    }
}
