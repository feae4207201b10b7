//! Ends a response body with the permission for it.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

use super::drain::{Drained, StreamKind};
use super::grant::Grant;

/// The permission is looked at in full for one of so many frames that come without a wait.
const FRAMES: u8 = 16;

/// The permission for a response ended before the response did.
#[derive(Debug, thiserror::Error)]
#[error("the session ended, or the rules stopped allowing this response")]
pub struct PermissionEnded {
    /// hyper resets an HTTP/2 stream with the code that it finds among an error's sources.
    #[cfg(feature = "proxy")]
    #[source]
    reset: h2::Error,
}

/// Why a body ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndReason {
    Permission,
    Drain,
}

/// Completes when the body has to end.
type Ended = Pin<Box<dyn Future<Output = EndReason> + Send>>;

/// Observes the permission for a response while its body is polled. A short response costs
/// a load per frame: it neither waits for the session's end nor counts as further use.
pub(crate) struct PermissionWatch {
    grant: Grant,
    /// If the body ends with a drain of the gate as well.
    drains: Option<StreamKind>,
    reason: EndReason,
    /// Begun when the body first makes its reader wait, or after some frames. The lock is
    /// never taken: it makes the body `Sync`.
    ended: Option<Mutex<Ended>>,
    frames: u8,
}

impl PermissionWatch {
    pub(crate) fn new(grant: Grant) -> Self {
        Self { grant, drains: None, reason: EndReason::Permission, ended: None, frames: 0 }
    }

    /// The same for a body of this kind, which ends with a drain of the gate as well.
    pub(super) fn until_drained(grant: Grant, kind: StreamKind) -> Self {
        Self { drains: Some(kind), ..Self::new(grant) }
    }

    /// The error that the body ends with.
    pub(super) fn error(&self) -> Box<dyn Error + Send + Sync> {
        match self.reason {
            EndReason::Permission => PermissionEnded::new().into(),
            EndReason::Drain => Drained::new().into(),
        }
    }

    /// Whether the session has ended, without a wake-up when it does.
    pub(crate) fn has_ended(&self) -> bool {
        self.grant.has_ended()
    }

    /// Records a frame as use of the session, and whether the body has to end.
    pub(crate) fn record_frame(&mut self, cx: &mut Context<'_>) -> bool {
        if self.ended.is_some() {
            self.grant.record_use();
        }
        self.frames = self.frames.wrapping_add(1);
        self.frames.is_multiple_of(FRAMES) && self.poll_ended(cx)
    }

    /// Whether the body has to end; otherwise the task is woken when it does.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> bool {
        let (grant, drains) = (&self.grant, self.drains);
        let ended = self.ended.get_or_insert_with(|| Mutex::new(Box::pin(ended(grant.clone(), drains))));
        let Ok(ended) = ended.get_mut() else { return true };
        match ended.as_mut().poll(cx) {
            Poll::Ready(reason) => {
                self.reason = reason;
                true
            }
            Poll::Pending => false,
        }
    }

    /// The permission, for another observer.
    #[cfg(feature = "proxy")]
    pub(crate) fn into_grant(self) -> Grant {
        self.grant
    }
}

/// Waits until a body under `grant` has to end.
async fn ended(grant: Grant, drains: Option<StreamKind>) -> EndReason {
    let Some((kind, ruleset)) = drains.zip(grant.ruleset()) else {
        grant.permission_ended().await;
        return EndReason::Permission;
    };
    tokio::select! {
        biased;
        () = grant.permission_ended() => EndReason::Permission,
        () = ruleset.drain.ended(kind) => EndReason::Drain,
    }
}

impl fmt::Debug for PermissionWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermissionWatch").field("grant", &self.grant).finish_non_exhaustive()
    }
}

impl PermissionEnded {
    pub(crate) fn new() -> Self {
        Self {
            #[cfg(feature = "proxy")]
            reset: h2::Reason::CANCEL.into(),
        }
    }
}
