//! `Expect: 100-continue` (RFC 9110, section 10.1.1): the client sends the request body
//! only after the app has asked for it.
//!
//! hyper's server sends 100 to the client when the body is first polled, so the proxy
//! waits for the app's 100 before it polls.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::header::{EXPECT, HeaderMap};
use http::{Request, StatusCode};
use tokio::time::Sleep;

/// An app that sends neither 100 nor a response for this long gets the body: it may not
/// implement expectations.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// The app has sent nothing yet.
const PENDING: u8 = 0;
/// The app sent 100, or the timeout has passed.
const CONTINUE: u8 = 1;
/// The app sent a final response without 100.
const ANSWERED: u8 = 2;
/// That response is complete.
const COMPLETE: u8 = 3;

/// Whether the app has asked for the body; shared by both handles.
#[derive(Debug, Default)]
struct ContinueState {
    state: AtomicU8,
    waker: AtomicWaker,
}

/// The request body's handle: the body waits for it.
#[derive(Debug)]
pub(super) struct ContinueWaiter {
    shared: Arc<ContinueState>,
    timeout: Option<Pin<Box<Sleep>>>,
}

/// The dispatcher's handle, held until the response is complete. A connection on which
/// the announced body was never sent cannot be reused; dropping this ends the body, and
/// hyper closes the connection.
#[derive(Debug)]
pub(super) struct ContinueGuard(Arc<ContinueState>);

/// Whether the client waits for 100 before it sends the body.
pub(super) fn is_expected(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Observes the informational responses to `request`. The body must wait for the first
/// handle.
pub(super) fn observe<B>(request: &mut Request<B>) -> (ContinueWaiter, ContinueGuard) {
    let shared = Arc::new(ContinueState::default());
    let observed = Arc::clone(&shared);
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            observed.transition(PENDING, CONTINUE);
        }
    });
    (ContinueWaiter { shared: Arc::clone(&shared), timeout: None }, ContinueGuard(shared))
}

impl ContinueState {
    fn transition(&self, from: u8, to: u8) {
        if self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.waker.wake();
        }
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }
}

impl ContinueGuard {
    /// Records that the final response has come. If the app has not asked for the body
    /// by then, it never will.
    pub(super) fn answered(&self) {
        self.0.transition(PENDING, ANSWERED);
    }

    /// Whether the body was sent.
    pub(super) fn is_continued(&self) -> bool {
        self.0.state() == CONTINUE
    }
}

impl Drop for ContinueGuard {
    fn drop(&mut self) {
        self.0.transition(ANSWERED, COMPLETE);
    }
}

impl ContinueWaiter {
    /// `true` once the body is to be sent, `false` once it is certain that it is not.
    pub(super) fn poll_continue(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.shared.waker.register(cx.waker());
        match self.shared.state() {
            PENDING => {}
            CONTINUE => return Poll::Ready(true),
            COMPLETE => return Poll::Ready(false),
            _ => return Poll::Pending,
        }
        let timeout = self.timeout.get_or_insert_with(|| Box::pin(tokio::time::sleep(CONTINUE_TIMEOUT)));
        ready!(timeout.as_mut().poll(cx));
        self.shared.transition(PENDING, CONTINUE);
        if self.shared.state() == CONTINUE { Poll::Ready(true) } else { Poll::Pending }
    }
}
