//! The limit of file descriptors, and how many connections fit into it.

use huggate::server::ServerSettings;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// FileDescriptorLimit that are needed besides connections: listeners, logs, the
/// provider, files that are read.
const RESERVE: u64 = 64;

/// Enough for most; fewer are worth a warning.
const WARN_BELOW: usize = 4_096;

/// How many file descriptors there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileDescriptorLimit(Option<u64>);

impl FileDescriptorLimit {
    /// Takes as many as the system lets us have without asking: the usual limit of
    /// 1024 is for programs that use select(2).
    pub(super) fn raise() -> Self {
        let before = getrlimit(Resource::Nofile);
        if before.current < before.maximum || before.maximum.is_none() {
            let wanted = Rlimit { current: before.maximum, maximum: before.maximum };
            if let Err(error) = setrlimit(Resource::Nofile, wanted) {
                tracing::debug!(%error, "the limit of file descriptors stays as it is");
            }
        }
        Self(getrlimit(Resource::Nofile).current)
    }

    /// Lets in no more clients than there are descriptors for: each may need one
    /// more towards the app.
    pub(super) fn cap_connections(self, settings: &mut ServerSettings) {
        let Some(limit) = self.0 else { return };
        let fitting = usize::try_from(limit.saturating_sub(RESERVE) / 2).unwrap_or(usize::MAX).max(1);
        if settings.connections > fitting {
            let wanted = settings.connections;
            if fitting < WARN_BELOW {
                tracing::warn!(
                    "limits.connections is {wanted}, and the {limit} file descriptors of this process (ulimit -n) are enough for {fitting}"
                );
            } else {
                tracing::info!(
                    wanted,
                    fitting,
                    "limits.connections is as many as there are file descriptors for"
                );
            }
            settings.connections = fitting;
        }
    }
}
