//! What the system lends us: file descriptors, sockets that systemd has opened,
//! and systemd's ear.

use std::io;

use huggate::server::{Listener, ServerSettings};
use listenfd::ListenFd;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;

/// Descriptors that are needed besides connections: listeners, logs, the
/// provider, files that are read.
const RESERVE: u64 = 64;

/// Enough for most; fewer are worth a warning.
const FEW: usize = 4_096;

/// How many file descriptors there may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptors(Option<u64>);

impl Descriptors {
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
    pub(super) fn fit(self, settings: &mut ServerSettings) {
        let Some(limit) = self.0 else { return };
        let fitting = usize::try_from(limit.saturating_sub(RESERVE) / 2).unwrap_or(usize::MAX).max(1);
        if settings.connections > fitting {
            let wanted = settings.connections;
            if fitting < FEW {
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

/// The sockets that systemd has opened for us (sd_listen_fds(3)).
pub(super) fn passed() -> io::Result<Vec<Listener>> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        // Each is of one kind or the other; which, only trying tells.
        let listener = match passed.take_tcp_listener(index) {
            Ok(Some(listener)) => Listener::from_tcp(listener)?,
            Ok(None) => continue,
            Err(_) => match passed.take_unix_listener(index)? {
                Some(listener) => Listener::from_unix(listener)?,
                None => continue,
            },
        };
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Tells systemd that we serve (Type=notify); nothing happens elsewhere.
pub(super) fn say_ready() {
    say(&[NotifyState::Ready]);
}

/// Tells systemd that the end was asked for.
pub(super) fn say_stopping() {
    say(&[NotifyState::Stopping]);
}

/// Tells systemd that the configuration is read anew (Type=notify-reload).
pub(super) fn say_reloading() {
    let mut states = vec![NotifyState::Reloading];
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        states.push(now);
    }
    say(&states);
}

fn say(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
