//! The end of the responses that a gate holds open, before its server shuts down.

use std::fmt;
use std::time::Duration;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// A longer grace is as good as none, and would overflow the clock.
const LONGEST_GRACE: Duration = Duration::from_secs(365 * 24 * 3_600);

/// The gate drained: its server shuts down. A response body ends with this error when it is
/// still open at the end of the grace of
/// [`Gate::drain`](crate::Gate::drain), so that it does not look complete.
#[derive(Debug, thiserror::Error)]
#[error("the server shuts down")]
pub struct Drained {
    /// hyper resets an HTTP/2 stream with the code that it finds among an error's sources.
    #[cfg(feature = "proxy")]
    #[source]
    reset: h2::Error,
}

impl Drained {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(feature = "proxy")]
            reset: h2::Reason::CANCEL.into(),
        }
    }
}

/// Whether a response ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamKind {
    /// It has an end, or may have one: a download, an answer that is being written.
    Finite,
    /// It goes on until somebody closes it.
    Endless,
}

impl StreamKind {
    /// The kind of the response to a request with this method. `EventSource` sends GET and
    /// connects again by itself. An event stream that answers a POST, as those of OpenAI's API
    /// do, ends with the answer.
    pub(super) fn of(method: &Method, headers: &HeaderMap) -> Self {
        let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let endless = [b"text/event-stream".as_slice(), b"multipart/x-mixed-replace"];
        let is_endless = endless.iter().any(|kind| essence.eq_ignore_ascii_case(kind));
        if *method == Method::GET && is_endless { Self::Endless } else { Self::Finite }
    }
}

/// Whether a drain has begun, and when responses end at the latest. The gates before and after
/// a reload share it.
pub(super) struct Drain {
    deadline: watch::Sender<Option<Instant>>,
}

impl Drain {
    /// Begins to drain. A further call can only shorten the grace.
    pub(super) fn begin(&self, grace: Duration) {
        let deadline = Instant::now() + grace.min(LONGEST_GRACE);
        self.deadline.send_if_modified(|current| {
            let sooner = current.is_none_or(|current| deadline < current);
            if sooner {
                *current = Some(deadline);
            }
            sooner
        });
    }

    /// Whether a drain has begun.
    pub(super) fn has_begun(&self) -> bool {
        self.deadline.borrow().is_some()
    }

    /// Waits until a response of this kind has to end.
    pub(super) async fn ended(&self, kind: StreamKind) {
        let mut changes = self.deadline.subscribe();
        loop {
            let deadline = *changes.borrow_and_update();
            match (deadline, kind) {
                (Some(_), StreamKind::Endless) => return,
                (Some(deadline), StreamKind::Finite) => tokio::select! {
                    () = sleep_until(deadline) => return,
                    _ = changes.changed() => {}
                },
                // The sender is in `self`, so this is no error.
                (None, _) => drop(changes.changed().await),
            }
        }
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self { deadline: watch::Sender::new(None) }
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").field("deadline", &*self.deadline.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_event_streams_for_get_are_endless() {
        for (method, content_type, kind) in [
            (Method::GET, "text/event-stream", StreamKind::Endless),
            (Method::GET, "Text/Event-Stream ; charset=utf-8", StreamKind::Endless),
            (Method::GET, "multipart/x-mixed-replace;boundary=x", StreamKind::Endless),
            (Method::POST, "text/event-stream", StreamKind::Finite),
            (Method::GET, "text/event-streams", StreamKind::Finite),
            (Method::GET, "application/octet-stream", StreamKind::Finite),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
            assert_eq!(StreamKind::of(&method, &headers), kind, "{method} {content_type}");
        }
        assert_eq!(StreamKind::of(&Method::GET, &HeaderMap::new()), StreamKind::Finite);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_drain_shortens_the_grace_and_does_not_extend_it() {
        let drain = Drain::default();
        let begun = Instant::now();
        let ended = async {
            drain.ended(StreamKind::Finite).await;
            begun.elapsed().as_secs()
        };
        let endless = async {
            drain.ended(StreamKind::Endless).await;
            begun.elapsed().as_secs()
        };
        let begin = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drain.begin(Duration::MAX);
            tokio::time::sleep(Duration::from_secs(1)).await;
            drain.begin(Duration::from_secs(5));
            drain.begin(Duration::from_secs(50));
        };
        assert_eq!(tokio::join!(ended, endless, begin), (7, 1, ()));
    }
}
