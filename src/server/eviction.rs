//! Which connection is closed to make room for another one.

use std::sync::Arc;
use std::time::Duration;

use super::connection_state::{ConnectionState, Phase};

/// A connection may be evicted once it has waited this long for the headers of a request,
const EVICT_SLOW_HEADERS: Duration = Duration::from_secs(1);
/// or once none of its HTTP/2 requests has made progress for this long.
const EVICT_WITHOUT_PROGRESS: Duration = Duration::from_secs(60);

/// The longest-idle connection; else the one that has waited longest for headers. Never one
/// with a request in flight.
pub(super) fn longest_idle<'a, K>(
    open: impl Iterator<Item = (K, &'a Arc<ConnectionState>)> + Clone,
) -> Option<(K, &'a Arc<ConnectionState>)> {
    let idle = longest(open.clone(), |connection| connection.inactive_in(Phase::Idle));
    let slow = || {
        let waiting = longest(open, |connection| connection.inactive_in(Phase::Headers));
        waiting.filter(|(inactive, _)| *inactive >= EVICT_SLOW_HEADERS)
    };
    idle.or_else(slow).map(|(_, found)| found)
}

/// The HTTP/2 connection whose requests have gone longest without progress.
pub(super) fn longest_stuck<'a, K>(
    open: impl Iterator<Item = (K, &'a Arc<ConnectionState>)>,
) -> Option<(K, &'a Arc<ConnectionState>)> {
    let stuck = longest(open, ConnectionState::without_progress);
    stuck.filter(|(inactive, _)| *inactive >= EVICT_WITHOUT_PROGRESS).map(|(_, found)| found)
}

fn longest<'a, K>(
    open: impl Iterator<Item = (K, &'a Arc<ConnectionState>)>,
    inactive: impl Fn(&ConnectionState) -> Option<Duration>,
) -> Option<(Duration, (K, &'a Arc<ConnectionState>))> {
    open.filter(|(_, connection)| !connection.close_signal().is_aborted())
        .filter_map(|(key, connection)| Some((inactive(connection)?, (key, connection))))
        .max_by_key(|(inactive, _)| *inactive)
}
