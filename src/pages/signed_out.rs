//! The way out.

use super::html::Html;
use super::illustration::{BUTTON, Illustration};
use super::layout::{Page, page};

/// A place to go on to after signing out.
#[derive(Debug)]
pub(crate) struct ContinueLink<'a> {
    /// Where the link leads.
    pub(crate) url: &'a str,
    /// What it is called: a host or a path.
    pub(crate) name: &'a str,
}

/// The session at `host` is over. The provider has no endpoint that would end
/// the one there, so the page says that it goes on.
pub(crate) fn signed_out(host: &str, start_url: &str, onward: Option<&ContinueLink<'_>>) -> Page {
    let mut main = Html::default();
    main.add("<h1>You are signed out of <bdi>{}</bdi></h1>\n", &[host]);
    main.add(
        "<p>Your Hugging Face account is still signed in on huggingface.co. On a shared computer, sign out there as well.</p>\n",
        &[],
    );
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

/// Another site sent the browser to the sign-out: only a click here does it.
///
/// The form's `Origin` is what tells this click from another site's, so the
/// page must not go out with `Referrer-Policy: no-referrer`, under which
/// browsers send `Origin: null` even to ourselves; `same-origin` is right.
pub(crate) fn confirm_sign_out(host: &str, sign_out_url: &str, stay_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>Sign out of <bdi>{}</bdi>?</h1>\n", &[host]);
    // Whether anybody is signed in cannot be told: to another site's request the
    // browser may not have added the cookie.
    main.add("<p>Another site sent you here to sign out. Nothing has happened yet.</p>\n", &[]);
    main.add("<form class=\"do\" method=\"post\" action=\"{}\">\n", &[sign_out_url]);
    main.add("<button class=\"button\" type=\"submit\">Sign out</button>\n", &[]);
    main.add("<a class=\"button second\" href=\"{}\">Do not sign out</a>\n</form>\n", &[stay_url]);
    page(&format!("Sign out of {host}?"), Illustration::Puzzled, &main)
}
