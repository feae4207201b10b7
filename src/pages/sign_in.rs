//! Before somebody is signed in: the door, and what can go wrong at it.

use super::html::Html;
use super::illustration::{BUTTON, Illustration};
use super::layout::{CSP_FRAMED, Page, page};

/// The door: one button that leads to `start_url`. `scope` is the one the app
/// asks for, and is put into words.
pub(crate) fn sign_in(host: &str, start_url: &str, scope: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>Sign in to <bdi>{}</bdi></h1>\n", &[host]);
    main.add(
        "<p>Hugging Face tells this app {}. The first time, it asks you whether it may.</p>\n",
        &[&describe_scope(scope)],
    );
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">", &[start_url]);
    main.add(BUTTON, &[]).add("Sign in with Hugging Face</a></p>\n", &[]);
    main.add("<p class=\"quiet\">Your password stays with Hugging Face.</p>\n", &[]);
    page(&format!("Sign in to {host}"), Illustration::Happy, &main)
}

/// What a scope lets the app learn, as the end of a sentence. A scope we have
/// no words for is named as it is rather than left out.
fn describe_scope(scope: &str) -> String {
    let mut parts = vec!["who you are".to_owned()];
    for name in scope.split_ascii_whitespace() {
        match name {
            "openid" | "profile" => {}
            "email" => parts.push("your email address".to_owned()),
            "read-memberships" => parts.push("which organisations you belong to".to_owned()),
            other => parts.push(format!("what “{other}” covers")),
        }
    }
    let last = parts.pop().unwrap_or_default();
    if parts.is_empty() { last } else { format!("{} and {last}", parts.join(", ")) }
}

/// The app is inside another page. The provider refuses to be sign_in_framed, so the
/// sign-in has to happen in a tab of its own.
pub(crate) fn sign_in_framed(host: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>Sign in to <bdi>{}</bdi></h1>\n", &[host]);
    main.add(
        "<p>This app is shown inside another page, and Hugging Face signs people in only in a tab of its own.</p>\n",
        &[],
    );
    main.add(
        "<p class=\"do\"><a class=\"button\" target=\"_blank\" rel=\"noopener\" href=\"{}\">",
        &[start_url],
    );
    main.add(BUTTON, &[]).add("Open the sign-in in a new tab</a>\n", &[]);
    main.add("<a class=\"button second\" href=\"\">Then reload this page</a></p>\n", &[]);
    main.add(
        "<p class=\"quiet\">If you are asked again after that, your browser keeps sign-ins apart inside other pages. \
         Use the app in the new tab.</p>\n",
        &[],
    );
    Page { csp: CSP_FRAMED, ..page(&format!("Sign in to {host}"), Illustration::Happy, &main) }
}

/// The session ended while a form was on its way. The browser still holds the
/// form in this tab, so signing in happens in another.
pub(crate) fn form_not_sent(host: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>Your form was not sent</h1>\n", &[]);
    main.add(
        "<p>You were signed out of <bdi>{}</bdi> before it arrived. Nothing is lost yet:</p>\n",
        &[host],
    );
    main.add(
        "<ol>\n<li>Sign in. The button opens a new tab.</li>\n<li>Come back to this tab.</li>\n\
         <li>Reload this page. The browser asks whether to send the form again: say yes.</li>\n</ol>\n",
        &[],
    );
    main.add(
        "<p class=\"do\"><a class=\"button\" target=\"_blank\" rel=\"noopener\" href=\"{}\">",
        &[start_url],
    );
    main.add(BUTTON, &[]).add("Open the sign-in in a new tab</a></p>\n", &[]);
    page("Your form was not sent", Illustration::Puzzled, &main)
}

/// Why a sign-in ended without one.
#[derive(Debug)]
pub(crate) struct SignInFailed<'a> {
    /// The heading, without a full stop.
    pub(crate) title: &'a str,
    /// What happened: whole sentences.
    pub(crate) cause: &'a str,
    /// What the person can do about it: whole sentences.
    pub(crate) advice: &'a str,
    /// Begins another attempt.
    pub(crate) start_url: &'a str,
}

/// A sign-in that ended without one, for a cause the caller words.
pub(crate) fn sign_in_failed(failed: &SignInFailed<'_>) -> Page {
    let mut main = Html::default();
    main.add("<h1>{}</h1>\n<p>{}</p>\n<p>{}</p>\n", &[failed.title, failed.cause, failed.advice]);
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Try again</a></p>\n", &[failed.start_url]);
    page(failed.title, Illustration::Puzzled, &main)
}

/// A callback whose `state` is not one this browser is waiting for.
pub(crate) fn unknown_sign_in(public_url: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>This sign-in cannot be finished here</h1>\n", &[]);
    main.add("<p>It may be that</p>\n", &[]);
    main.list(&[
        "it was begun in another browser or a private window,",
        "it took longer than 10 minutes,",
        "it was finished once already, and this is the same address again,",
        "or the app was opened at another address.",
    ]);
    main.add("<p>Open <a href=\"{}\">{}</a> and sign in from there.</p>\n", &[public_url, public_url]);
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Try again</a></p>\n", &[start_url]);
    page("This sign-in cannot be finished here", Illustration::Puzzled, &main)
}

/// The person said no on the provider's consent page (`access_denied`).
pub(crate) fn sign_in_cancelled(host: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>You are not signed in</h1>\n", &[]);
    main.add(
        "<p>You chose not to share your Hugging Face account with <bdi>{}</bdi>, so it does not know who you are. \
         Nothing was shared.</p>\n",
        &[host],
    );
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Sign in after all</a></p>\n", &[start_url]);
    page("You are not signed in", Illustration::Asleep, &main)
}

/// Signing in worked, twice, and the browser still came back without the
/// session. Another redirect would only go round again.
pub(crate) fn sign_in_loop(public_url: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>The sign-in does not stick</h1>\n", &[]);
    main.add(
        "<p>Hugging Face signed you in, but your browser came back without the cookie that says so. The usual causes:</p>\n",
        &[],
    );
    main.add("<ul>\n<li>Cookies are blocked for this site. Allow them.</li>\n", &[]);
    main.add(
        "<li>The app is inside another page, or in a private window. Open it in a normal tab of its own.</li>\n",
        &[],
    );
    main.add(
        "<li>The app was opened at another address. Open <a href=\"{}\">{}</a>.</li>\n",
        &[public_url, public_url],
    );
    main.add(
        "<li>The clock of this computer is wrong, so the cookie ends before it begins. Set it.</li>\n</ul>\n",
        &[],
    );
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Try again</a></p>\n", &[start_url]);
    page("The sign-in does not stick", Illustration::Puzzled, &main)
}

#[cfg(test)]
mod tests {
    use super::describe_scope;

    #[test]
    fn a_scope_is_put_into_words() {
        assert_eq!(describe_scope("openid profile"), "who you are");
        assert_eq!(describe_scope("openid email"), "who you are and your email address");
        assert_eq!(
            describe_scope("openid profile email read-memberships jobs"),
            "who you are, your email address, which organisations you belong to and what “jobs” covers"
        );
    }
}
