//! Shutdown signals.

/// Waits for SIGTERM or Ctrl-C.
pub(super) async fn shutdown_signal() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminate.recv() => {}
            }
        }
        // Without SIGTERM, Ctrl-C remains; if that fails as well, stop at once rather than
        // never.
        Err(_) => drop(interrupted.await),
    }
}
