//! The gate's part in the graceful shutdown of the server around it.

use std::time::Duration;

use super::Gate;

/// How long [`Gate::drain`] leaves to responses that have an end of their own.
const GRACE: Duration = Duration::from_secs(10);

impl Gate {
    /// Ends the responses that this gate holds open, so that the graceful shutdown of the
    /// server around it completes. Call it when the shutdown begins:
    ///
    /// ```no_run
    /// # #[cfg(feature = "axum")]
    /// # async fn serve(gate: huggate::Gate, app: axum::Router) -> std::io::Result<()> {
    /// # async fn shutdown_signal() {}
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    /// let shutdown = async move {
    ///     shutdown_signal().await;
    ///     gate.drain();
    /// };
    /// axum::serve(listener, app).with_graceful_shutdown(shutdown).await
    /// # }
    /// ```
    ///
    /// From now on:
    ///
    /// - `readyz` answers 503.
    /// - Event streams (`text/event-stream` and `multipart/x-mixed-replace`, in answer to GET)
    ///   end at once; browsers connect again.
    /// - Other responses have ten seconds to finish, and end then. [`Gate::drain_within`] takes
    ///   another time.
    /// - [`Grant::ended`](crate::Grant::ended) resolves, so that a WebSocket that waits for it is
    ///   closed. [`Gate::is_draining`] tells this reason from the others.
    ///
    /// Requests are decided as before. A response that begins later is treated alike: others
    /// end when the ten seconds are over, and an event stream at once. Over HTTP/1.1 the
    /// connection is closed without an answer then, and browsers and proxies send the request
    /// again. Responses of public
    /// routes end like those of people who are signed in. A request whose handler has not
    /// answered yet is waited for.
    ///
    /// A response ends with the error [`Drained`](crate::gate::Drained) in its body: the server
    /// closes an HTTP/1.1 connection in the middle of the message and resets an HTTP/2 stream, so
    /// that nothing looks complete that is not. Body types that cannot hold this error are listed
    /// at [`GateBody`](crate::gate::GateBody).
    ///
    /// A server asks a response for more only while its client reads. A client that reads
    /// nothing is waited for, so a time limit around the whole shutdown is needed as well.
    ///
    /// The drain has no end. The gates of [`Gate::prepare_reload`] drain together.
    #[cfg_attr(
        feature = "proxy",
        doc = "\nBehind a [`Proxy`](crate::proxy::Proxy) only `readyz` changes: its server limits the time of \
               requests in flight by `ServerSettings::drain_timeout`."
    )]
    pub fn drain(&self) {
        self.drain_within(GRACE);
    }

    /// The same as [`Gate::drain`], with `grace` instead of ten seconds for responses that have
    /// an end. Zero ends everything at once. A second call can shorten the time that is left, and
    /// not extend it.
    pub fn drain_within(&self, grace: Duration) {
        self.inner.oauth2.drain();
        self.inner.ruleset.drain.begin(grace);
    }

    /// Whether [`Gate::drain`] was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.inner.ruleset.drain.has_begun()
    }
}
