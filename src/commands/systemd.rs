//! systemd: the sockets that it has opened for us, and what it is told of our state.

use std::io;

use huggate::server::Listener;
use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The sockets that systemd has opened for us (sd_listen_fds(3)).
pub(super) fn activated_sockets() -> io::Result<Vec<Listener>> {
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
pub(super) fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// Tells systemd that the end was asked for.
pub(super) fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Tells systemd that the configuration is read anew (Type=notify-reload).
pub(super) fn notify_reloading() {
    let mut states = vec![NotifyState::Reloading];
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        states.push(now);
    }
    notify(&states);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "systemd was not told");
    }
}
