//! The builder's methods for the app's own code.

use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::GateBuilder;
use crate::hooks::{HookError, Hooks, Pages, RefusedRequest, SignIn, SignedOut, SigningIn};

impl GateBuilder {
    /// Asks `hook` at each sign-in: after Hugging Face has answered and the rules admit the
    /// person somewhere, before the session exists. The hook may refuse the person with a
    /// message, or add [claims](SignIn::claim) that the session keeps.
    ///
    /// An error, a panic and a hook that takes longer than [`GateBuilder::hook_timeout`] refuse
    /// the sign-in with 500. Tokens of API clients do not sign in, so they neither call the hook
    /// nor have claims. A session that began before the hook was there goes on without.
    ///
    /// ```
    /// use huggate::Gate;
    /// use huggate::hooks::SignIn;
    ///
    /// # async fn plan_of(_: &str) -> Result<Option<String>, std::io::Error> { Ok(None) }
    /// Gate::builder().on_sign_in(|signing_in| async move {
    ///     Ok(match plan_of(signing_in.user().id()).await? {
    ///         Some(plan) => SignIn::admit().claim("plan", plan),
    ///         None => SignIn::refuse("You have no plan yet. Order one at example.com/plans."),
    ///     })
    /// });
    /// ```
    #[must_use]
    pub fn on_sign_in<F, Fut>(self, hook: F) -> Self
    where
        F: Fn(SigningIn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<SignIn, HookError>> + Send + 'static,
    {
        self.change_hooks(|hooks| hooks.on_sign_in(hook))
    }

    /// Tells `hook` of each session that its person ended by signing out, once, when it has
    /// ended. Other ends are not told: a session that times out, that a new sign-in of the
    /// browser replaces, or that Hugging Face no longer confirms.
    ///
    /// The person is signed out and reads so whatever the hook does; its error, panic or timeout
    /// is logged.
    ///
    /// ```
    /// huggate::Gate::builder().on_sign_out(|signed_out| async move {
    ///     println!("{} has left", signed_out.user().username());
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    pub fn on_sign_out<F, Fut>(self, hook: F) -> Self
    where
        F: Fn(SignedOut) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.change_hooks(|hooks| hooks.on_sign_out(hook))
    }

    /// Lets `hook` answer in place of the gate's own errors: each answer with a status of 400 or
    /// more, of the layer, of forward auth, and of the gate's endpoints. `None` keeps ours. The
    /// redirect to a sign-in is no refusal.
    ///
    /// The answer stays a refusal:
    ///
    /// - A status below 300 is replaced by ours. nginx' forward auth gets 401 or 403 in any case.
    /// - The gate's `Set-Cookie`, `WWW-Authenticate`, `Retry-After`, `Allow` and `Connection`
    ///   are sent; the hook's `Set-Cookie` may not have the name of one of the gate's cookies.
    /// - `Cache-Control: no-store`, a `Content-Security-Policy` without scripts and frames,
    ///   `X-Content-Type-Options` and `Referrer-Policy` are added where the hook sets none.
    /// - `HEAD` gets no body, and a gRPC client a `grpc-status`.
    ///
    /// After an error, a panic, or [`GateBuilder::hook_timeout`], our own answer is sent, and the
    /// log says so. The proxy's answers about an app that does not respond are not refusals.
    ///
    /// ```
    /// use http::Response;
    /// use huggate::Gate;
    ///
    /// Gate::builder().on_refusal(|refused| async move {
    ///     if !refused.path().starts_with("/api/") {
    ///         return Ok(None);
    ///     }
    ///     let problem = format!(r#"{{"type":"https://example.com/errors/{}"}}"#, refused.code());
    ///     let response = Response::builder()
    ///         .status(refused.status())
    ///         .header("content-type", "application/problem+json")
    ///         .body(problem.into())?;
    ///     Ok(Some(response))
    /// });
    /// ```
    #[must_use]
    pub fn on_refusal<F, Fut>(self, hook: F) -> Self
    where
        F: Fn(RefusedRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<Response<Bytes>>, HookError>> + Send + 'static,
    {
        self.change_hooks(|hooks| hooks.on_refusal(hook))
    }

    /// Replaces the gate's pages. The status and the fields of the answer stay ours, but for the
    /// [policy](crate::hooks::Html::new). A method that panics, or takes longer than
    /// [`GateBuilder::hook_timeout`], leaves our page, and the log says so.
    ///
    /// ```
    /// use huggate::hooks::{Html, Pages, SignedOutPage};
    /// use huggate::{Gate, escape_html};
    ///
    /// struct Mine;
    ///
    /// impl Pages for Mine {
    ///     fn signed_out(&self, page: &SignedOutPage) -> Option<Html> {
    ///         let url = escape_html(&page.start_url);
    ///         Some(Html::new(format!("<!doctype html><title>Bye</title><a href=\"{url}\">Sign in</a>")))
    ///     }
    /// }
    ///
    /// Gate::builder().pages(Mine);
    /// ```
    #[must_use]
    pub fn pages(self, pages: impl Pages) -> Self {
        self.change_hooks(|hooks| hooks.pages(pages))
    }

    /// The time limit of a hook; 10 seconds by default. It cancels a hook that awaits, and cannot
    /// stop one that blocks its thread: use `tokio::task::spawn_blocking` for blocking calls.
    #[must_use]
    pub fn hook_timeout(self, timeout: Duration) -> Self {
        self.change_hooks(|hooks| hooks.timeout(timeout))
    }

    fn change_hooks(mut self, change: impl FnOnce(Hooks) -> Hooks) -> Self {
        self.hooks = change(self.hooks);
        self
    }
}
