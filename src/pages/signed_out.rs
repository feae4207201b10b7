//! Pages of the sign-out.

use super::html::Html;
use super::illustration::{BUTTON, Illustration};
use super::layout::{Page, page, page_going_on};

/// A link to the page given by `rd`.
#[derive(Debug)]
pub(crate) struct ContinueLink<'a> {
    /// The link's URL.
    pub(crate) url: &'a str,
    /// The link's text: a host or a path.
    pub(crate) name: &'a str,
}

/// What is known of the person's session at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProviderState {
    /// It goes on: the provider has no end-session endpoint, or was not asked.
    SignedIn,
    /// The provider was asked to end it, and did or did not.
    Unmentioned,
}

/// The session at `host` has ended.
pub(crate) fn signed_out(
    host: &str,
    start_url: &str,
    onward: Option<&ContinueLink<'_>>,
    provider: ProviderState,
) -> Page {
    let mut main = Html::default();
    main.add("<h1>You are signed out of <bdi>{}</bdi></h1>\n", &[host]);
    if provider == ProviderState::SignedIn {
        main.add(
            "<p>You are still signed in to huggingface.co. On a shared computer, sign out there as well.</p>\n",
            &[],
        );
    }
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">", &[start_url]);
    main.add(BUTTON, &[]).add("Sign in again</a>\n", &[]);
    if let Some(ContinueLink { url, name }) = onward {
        main.add(
            "<a class=\"button second\" href=\"{}\"><span>Continue to <bdi>{}</bdi></span></a>\n",
            &[url, name],
        );
    }
    main.add("</p>\n", &[]);
    page(&format!("Signed out of {host}"), Illustration::Asleep, &main)
}

/// The session at `host` has ended; the provider's ends at `url`, which the page opens.
pub(crate) fn signing_out(host: &str, url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>You are signed out of <bdi>{}</bdi></h1>\n", &[host]);
    main.add("<p>The page where you sign out of your account is loading.</p>\n", &[]);
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Go on</a></p>\n", &[url]);
    page_going_on(&format!("Signed out of {host}"), Illustration::Asleep, &main, url)
}

/// Asks for confirmation of a sign-out that another site requested, or that nobody opened as
/// a page.
///
/// The form's `Origin` distinguishes this click from a request of another site. Therefore the
/// page must not be sent with `Referrer-Policy: no-referrer`, with which browsers send `Origin:
/// null`; `same-origin` works.
pub(crate) fn confirm_sign_out(host: &str, sign_out_url: &str, stay_url: &str, cross_site: bool) -> Page {
    let mut main = Html::default();
    main.add("<h1>Sign out of <bdi>{}</bdi>?</h1>\n", &[host]);
    // The page does not say whether anybody is signed in: browsers may omit the session cookie
    // from cross-site requests.
    let why = if cross_site { "Another site sent you here to sign out. " } else { "" };
    main.add("<p>{}Nothing has happened yet.</p>\n", &[why]);
    main.add("<form class=\"do\" method=\"post\" action=\"{}\">\n", &[sign_out_url]);
    main.add("<button class=\"button\" type=\"submit\">Sign out</button>\n", &[]);
    main.add("<a class=\"button second\" href=\"{}\">Cancel</a>\n</form>\n", &[stay_url]);
    page(&format!("Sign out of {host}?"), Illustration::Puzzled, &main)
}
