//! `Expect: 100-continue` (RFC 9110, section 10.1.1): a body that the client sends
//! only when the app wants it.
//!
//! Our listener tells the client to go on as soon as somebody asks for the body, so
//! it is enough not to ask.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::header::{EXPECT, HeaderMap};
use http::{Request, StatusCode};
use tokio::time::Sleep;

use super::request_body::RequestBody;

/// An app that says nothing is sent the body after this: it may not know of
/// expectations.
const PATIENCE: Duration = Duration::from_secs(1);

/// The app has said nothing yet.
const OPEN: u8 = 0;
/// It wants the body, or is taken to want it.
const WANTED: u8 = 1;
/// It answered without.
const ANSWERED: u8 = 2;
/// And now the answer is over.
const OVER: u8 = 3;

/// Whether the app wants the body.
#[derive(Debug, Default)]
struct ContinueState {
    state: AtomicU8,
    waker: AtomicWaker,
}

/// What holds a body back.
#[derive(Debug)]
pub(super) struct ContinueWaiter {
    state: Arc<ContinueState>,
    idle_timer: Option<Pin<Box<Sleep>>>,
}

/// The other end of it, for as long as the exchange lasts. A connection that owes
/// the app a body is of no more use; when this is dropped, it is closed.
#[derive(Debug)]
pub(super) struct ContinueGuard(Arc<ContinueState>);

/// Whether a client waits to be told to go on.
pub(super) fn is_expected(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Holds the body of `request` until the app says 100, or nothing for a while.
pub(super) fn hold(request: &mut Request<RequestBody>) -> ContinueGuard {
    let state = Arc::new(ContinueState::default());
    let told = Arc::clone(&state);
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            told.turn(OPEN, WANTED);
        }
    });
    request.body_mut().hold(ContinueWaiter { state: Arc::clone(&state), idle_timer: None });
    ContinueGuard(state)
}

impl ContinueState {
    fn turn(&self, from: u8, to: u8) {
        if self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.waker.wake();
        }
    }

    fn state(&self) -> u8 {
        self.state.load(Ordering::Acquire)
    }
}

impl ContinueGuard {
    /// There is an answer. If the app did not ask for the body before, it has no use
    /// for it.
    pub(super) fn answered(&self) {
        self.0.turn(OPEN, ANSWERED);
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.0.state() == WANTED
    }
}

impl Drop for ContinueGuard {
    fn drop(&mut self) {
        self.0.turn(ANSWERED, OVER);
    }
}

impl ContinueWaiter {
    /// Waits until the app wants the body, which is then `true`; or until it is
    /// certain that it does not.
    pub(super) fn poll_wanted(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        self.state.waker.register(cx.waker());
        match self.state.state() {
            OPEN => {}
            WANTED => return Poll::Ready(true),
            OVER => return Poll::Ready(false),
            _ => return Poll::Pending,
        }
        let idle_timer = self.idle_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        ready!(idle_timer.as_mut().poll(cx));
        self.state.turn(OPEN, WANTED);
        if self.state.state() == WANTED { Poll::Ready(true) } else { Poll::Pending }
    }
}
