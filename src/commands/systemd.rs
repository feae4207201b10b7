//! systemd: socket activation and notifications.

use std::io;

use huggate::server::Listener;
use listenfd::ListenFd;
use sd_notify::NotifyState;

/// The sockets passed by systemd (sd_listen_fds(3)).
pub(super) fn activated_sockets() -> io::Result<Vec<Listener>> {
    let mut passed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..passed.len() {
        // A socket is TCP or unix; the only way to find out is to try.
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

/// Notifies systemd that the service is ready (Type=notify); does nothing elsewhere.
pub(super) fn notify_ready() {
    notify(&[NotifyState::Ready]);
}

/// Notifies systemd that the service is stopping.
pub(super) fn notify_stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Notifies systemd that the configuration is being reloaded (Type=notify-reload).
pub(super) fn notify_reloading() {
    let mut states = vec![NotifyState::Reloading];
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        states.push(now);
    }
    notify(&states);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "notifying systemd failed");
    }
}
