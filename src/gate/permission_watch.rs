//! Ends a response body with the permission for it.

use std::fmt;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::Context;

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

/// Completes when the permission no longer holds.
type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Observes the permission for a response while its body is polled. A short response costs
/// a load per frame: it neither waits for the session's end nor counts as further use.
pub(crate) struct PermissionWatch {
    grant: Grant,
    /// Begun when the body first makes its reader wait, or after some frames. The lock is
    /// never taken: it makes the body `Sync`.
    ended: Option<Mutex<Ended>>,
    frames: u8,
}

impl PermissionWatch {
    pub(crate) fn new(grant: Grant) -> Self {
        Self { grant, ended: None, frames: 0 }
    }

    /// Whether the session has ended, without a wake-up when it does.
    pub(crate) fn has_ended(&self) -> bool {
        self.grant.has_ended()
    }

    /// Records a frame as use of the session, and whether the permission has ended.
    pub(crate) fn record_frame(&mut self, cx: &mut Context<'_>) -> bool {
        if self.ended.is_some() {
            self.grant.record_use();
        }
        self.frames = self.frames.wrapping_add(1);
        self.frames.is_multiple_of(FRAMES) && self.poll_ended(cx)
    }

    /// Whether the permission has ended; otherwise the task is woken when it does.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> bool {
        let grant = &self.grant;
        let ended = self.ended.get_or_insert_with(|| {
            let grant = grant.clone();
            Mutex::new(Box::pin(async move { grant.ended().await }))
        });
        match ended.get_mut() {
            Ok(ended) => ended.as_mut().poll(cx).is_ready(),
            Err(_) => true,
        }
    }

    /// The permission, for another observer.
    #[cfg(feature = "proxy")]
    pub(crate) fn into_grant(self) -> Grant {
        self.grant
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
