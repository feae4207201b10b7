//! `Expect: 100-continue` (RFC 9110, section 10.1.1): a body that the client sends
//! only when the app wants it.
//!
//! Our listener tells the client to go on as soon as somebody asks for the body, so
//! it is enough not to ask.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use http::header::{EXPECT, HeaderMap};
use http::{Request, StatusCode};
use tokio::time::Sleep;

use super::body::RequestBody;

/// An app that says nothing is sent the body after this: it may not know of
/// expectations.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether the app wants the body.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    yes: AtomicBool,
    waker: AtomicWaker,
}

/// What holds a body back.
#[derive(Debug)]
pub(super) struct Held {
    wanted: Arc<Wanted>,
    patience: Option<Pin<Box<Sleep>>>,
}

/// Whether a client waits to be told to go on.
pub(super) fn is_expected(headers: &HeaderMap) -> bool {
    headers.get(EXPECT).is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Holds the body of `request` until the app says 100, or nothing for a while.
pub(super) fn hold(request: &mut Request<RequestBody>) -> Arc<Wanted> {
    let wanted = Arc::new(Wanted::default());
    let told = Arc::clone(&wanted);
    hyper::ext::on_informational(request, move |response| {
        if response.status() == StatusCode::CONTINUE {
            told.release();
        }
    });
    request.body_mut().hold(Held { wanted: Arc::clone(&wanted), patience: None });
    wanted
}

impl Wanted {
    fn release(&self) {
        self.yes.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.yes.load(Ordering::Acquire)
    }
}

impl Held {
    pub(super) fn poll_released(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.wanted.waker.register(cx.waker());
        if self.wanted.is_wanted() {
            return Poll::Ready(());
        }
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        if patience.as_mut().poll(cx).is_ready() {
            self.wanted.release();
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
