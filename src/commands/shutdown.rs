//! Waiting for SIGTERM or Ctrl-C.

/// Waits for what does not come.
pub(super) async fn never() {
    std::future::pending().await
}

/// Waits until somebody asks for the end: SIGTERM, or Ctrl-C.
pub(super) async fn asked_to_stop() {
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
