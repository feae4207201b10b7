//! Pages of the app's own, in place of ours.

use std::sync::Arc;

use http::StatusCode;
use http::header::HeaderValue;
use tokio::sync::Semaphore;

use super::hook::Hook;
use crate::identity::User;

/// The app's own pages. Each method gets what its page says as data, and returns HTML, or
/// `None` for our page; that is what a method does that is not written.
///
/// The values are text: escape them, with a template engine or with
/// [`escape_html`](crate::escape_html). The methods run on a thread for blocking work, for at most
/// [`hook_timeout`](crate::GateBuilder::hook_timeout). At most 64 run at a time, those included
/// that their time limit has ended.
pub trait Pages: Send + Sync + 'static {
    /// The page with the button that begins a sign-in.
    fn sign_in(&self, page: &SignInPage) -> Option<Html> {
        let _ = page;
        None
    }

    /// The page at the end of a sign-out.
    fn signed_out(&self, page: &SignedOutPage) -> Option<Html> {
        let _ = page;
        None
    }

    /// The page for people who are signed in and may not enter.
    fn forbidden(&self, page: &ForbiddenPage) -> Option<Html> {
        let _ = page;
        None
    }

    /// The page for every other error: a sign-in that failed, a provider that is down.
    fn error(&self, page: &ErrorPage) -> Option<Html> {
        let _ = page;
        None
    }
}

/// A page's HTML, and its content security policy.
#[derive(Debug, Clone)]
pub struct Html {
    pub(crate) html: String,
    pub(crate) policy: Option<HeaderValue>,
}

impl Html {
    /// A document. Its policy is
    /// `default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`:
    /// styles in the page and from this app, and images and fonts from this app. It blocks
    /// scripts, frames, and everything from elsewhere.
    #[must_use]
    pub fn new(html: impl Into<String>) -> Self {
        Self { html: html.into(), policy: None }
    }

    /// Another `Content-Security-Policy`. `X-Frame-Options: DENY` is sent with any.
    #[must_use]
    pub fn policy(mut self, policy: HeaderValue) -> Self {
        self.policy = Some(policy);
        self
    }
}

/// The data of the page with the sign-in button.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SignInPage {
    /// The app's host.
    pub host: String,
    /// Begins the sign-in: for a link. A form would be blocked on its way to Hugging Face.
    pub start_url: String,
    /// The scopes that the sign-in asks for, separated by spaces.
    pub scope: String,
}

/// The data of the page at the end of a sign-out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SignedOutPage {
    /// The app's host.
    pub host: String,
    /// Begins another sign-in.
    pub start_url: String,
    /// The return address of the link that led to the sign-out, if it has one.
    pub continue_url: Option<String>,
}

/// The data of the page for people who may not enter.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ForbiddenPage {
    /// The app's host.
    pub host: String,
    /// The person's username.
    pub username: String,
    /// The person, unless only the name is known.
    pub user: Option<User>,
    /// One sentence for each rule, with what is missing.
    pub reasons: Vec<String>,
    /// Begins another sign-in, after which changes at Hugging Face take effect.
    pub again_url: String,
    /// Begins a sign-in that asks for the organisation that is missing, if there is one.
    pub share_url: Option<String>,
    /// Ends this session, to sign in with another account.
    pub sign_out_url: String,
}

/// The data of the page for another error.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ErrorPage {
    /// The app's host; empty if the request does not name exactly one.
    pub host: String,
    /// The status.
    pub status: StatusCode,
    /// The kind of error, as in JSON answers: `docs/reference/refusals.md`.
    pub code: String,
    /// What happened, in sentences.
    pub text: String,
    /// A page where a person can sign in.
    pub sign_in_url: String,
}

/// The data of one page.
#[derive(Debug, Clone)]
pub(crate) enum PageContent {
    SignIn(SignInPage),
    SignedOut(SignedOutPage),
    Forbidden(ForbiddenPage),
    Error(ErrorPage),
}

/// How many pages are made at once. The time limit of a hook does not end a thread that blocks:
/// without a bound, requests that anybody can send would take all threads that the runtime has
/// for files and names as well.
const AT_ONCE: usize = 64;

/// `pages` as a hook. The methods are not async, so they get a thread on which they may block.
pub(super) fn hook(pages: impl Pages) -> Hook<PageContent, Option<Html>> {
    let (pages, places) = (Arc::new(pages), Arc::new(Semaphore::new(AT_ONCE)));
    Arc::new(move |content| {
        let (pages, places) = (Arc::clone(&pages), Arc::clone(&places));
        Box::pin(async move {
            let place = places.acquire_owned().await?;
            let rendering = tokio::task::spawn_blocking(move || {
                let _place = place;
                render(&*pages, &content)
            });
            rendering.await.map_err(|error| match error.try_into_panic() {
                // The task of the hook ends with the panic of its page.
                Ok(payload) => std::panic::resume_unwind(payload),
                Err(cancelled) => cancelled.into(),
            })
        })
    })
}

fn render(pages: &impl Pages, content: &PageContent) -> Option<Html> {
    match content {
        PageContent::SignIn(page) => pages.sign_in(page),
        PageContent::SignedOut(page) => pages.signed_out(page),
        PageContent::Forbidden(page) => pages.forbidden(page),
        PageContent::Error(page) => pages.error(page),
    }
}
