//! The limit of open file descriptors, and how many connections it allows.

use huggate::server::ServerSettings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// File descriptors reserved for listeners, logs, the provider and files.
const RESERVE: u64 = 64;

/// Below this number of connections, a warning is logged.
const WARN_BELOW: usize = 4_096;

/// The limit of open file descriptors.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileDescriptorLimit(Option<u64>);

impl FileDescriptorLimit {
    /// Raises the soft limit to the hard limit: the usual soft limit of 1024 is for programs
    /// that use select(2).
    pub(super) fn raise() -> Self {
        let before = getrlimit(Resource::Nofile);
        if before.current < before.maximum || before.maximum.is_none() {
            let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
            if let Err(error) = setrlimit(Resource::Nofile, wanted) {
                tracing::debug!(%error, "raising the limit of file descriptors failed");
            }
        }
        Self(getrlimit(Resource::Nofile).current)
    }

    /// Caps the number of connections: each may need a second descriptor, for its upstream
    /// connection.
    pub(super) fn cap_connections(self, settings: &mut ServerSettings) {
        let Some(limit) = self.0 else { return };
        let fitting = usize::try_from(limit.saturating_sub(RESERVE) / 2).unwrap_or(usize::MAX).max(1);
        if settings.connections > fitting {
            let wanted = settings.connections;
            if fitting < WARN_BELOW {
                tracing::warn!(
                    "limits.connections is {wanted}, but the {limit} file descriptors of this process (ulimit -n) allow {fitting}; using {fitting}"
                );
            } else {
                tracing::info!(
                    wanted,
                    fitting,
                    "limits.connections is reduced to what the limit of file descriptors allows"
                );
            }
            settings.connections = fitting;
        }
    }
}
