//! Waiting for SIGTERM or Ctrl-C.

/// Waits until somebody asks for the end: SIGTERM, or Ctrl-C.
pub(super) async fn shutdown_signal() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminate.recv() => {}
            }
        }
        // Without SIGTERM there still is Ctrl-C; if that fails too, stop at once
        // rather than never.
        Err(_) => drop(interrupted.await),
    }
}
