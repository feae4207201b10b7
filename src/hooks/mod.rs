//! The app's own code at a sign-in, at a sign-out, and in place of our refusals and pages.
//!
//! A hook belongs to one gate: [`GateBuilder::on_sign_in`](crate::GateBuilder::on_sign_in),
//! [`on_sign_out`](crate::GateBuilder::on_sign_out),
//! [`on_refusal`](crate::GateBuilder::on_refusal) and [`pages`](crate::GateBuilder::pages) set it. It runs in a task of its own, for at most
//! [`hook_timeout`](crate::GateBuilder::hook_timeout). If it fails, panics or takes longer, nobody is
//! let in for that, and the log names the hook. A request that the gate lets through
//! calls none.

mod guard;
mod hook;
mod pages;
mod refused_request;
mod sign_in;
mod sign_out;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::Response;

pub(crate) use guard::guarded;
pub use hook::HookError;
use hook::{Hook, boxed};
pub(crate) use pages::PageContent;
pub use pages::{ErrorPage, ForbiddenPage, Html, Pages, SignInPage, SignedOutPage};
pub use refused_request::{ClientKind, RefusedRequest};
pub(crate) use sign_in::SignInOutcome;
pub use sign_in::{SignIn, SigningIn};
pub use sign_out::SignedOut;

/// How long a hook may take, unless another time is set.
pub const DEFAULT_HOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// The hooks of a gate. [`GateBuilder`](crate::GateBuilder) has the same methods; this is for
/// settings that a file provides, in `GateSettings::hooks`.
#[derive(Clone)]
pub struct Hooks {
    pub(crate) sign_in: Option<Hook<SigningIn, SignIn>>,
    pub(crate) sign_out: Option<Hook<SignedOut, ()>>,
    pub(crate) refusal: Option<Hook<RefusedRequest, Option<Response<Bytes>>>>,
    pub(crate) pages: Option<Hook<PageContent, Option<Html>>>,
    pub(crate) timeout: Duration,
}

impl Default for Hooks {
    fn default() -> Self {
        Self { sign_in: None, sign_out: None, refusal: None, pages: None, timeout: DEFAULT_HOOK_TIMEOUT }
    }
}

impl Hooks {
    /// Whether one of them changes answers of ours.
    pub(crate) fn present_answers(&self) -> bool {
        self.refusal.is_some() || self.pages.is_some()
    }

    /// See [`GateBuilder::on_sign_in`](crate::GateBuilder::on_sign_in).
    #[must_use]
    pub fn on_sign_in<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(SigningIn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<SignIn, HookError>> + Send + 'static,
    {
        self.sign_in = Some(boxed(hook));
        self
    }

    /// See [`GateBuilder::on_sign_out`](crate::GateBuilder::on_sign_out).
    #[must_use]
    pub fn on_sign_out<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(SignedOut) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.sign_out = Some(boxed(hook));
        self
    }

    /// See [`GateBuilder::on_refusal`](crate::GateBuilder::on_refusal).
    #[must_use]
    pub fn on_refusal<F, Fut>(mut self, hook: F) -> Self
    where
        F: Fn(RefusedRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Response<Bytes>>, HookError>> + Send + 'static,
    {
        self.refusal = Some(boxed(hook));
        self
    }

    /// See [`GateBuilder::pages`](crate::GateBuilder::pages).
    #[must_use]
    pub fn pages(mut self, pages: impl Pages) -> Self {
        self.pages = Some(pages::hook(pages));
        self
    }

    /// See [`GateBuilder::hook_timeout`](crate::GateBuilder::hook_timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("on_sign_in", &self.sign_in.is_some())
            .field("on_sign_out", &self.sign_out.is_some())
            .field("on_refusal", &self.refusal.is_some())
            .field("pages", &self.pages.is_some())
            .field("timeout", &self.timeout)
            .finish()
    }
}
