//! Pages of the sign-in and of its failures.

use super::html::Html;
use super::illustration::{BUTTON, Illustration};
use super::layout::{CSP_FRAMED, Page, page, page_going_on};

/// The sign-in page: a button that leads to `start_url`, and a description of `scope`.
pub(crate) fn sign_in(host: &str, start_url: &str, scope: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>Sign in to <bdi>{}</bdi></h1>\n", &[host]);
    main.add(
        "<p>Hugging Face tells this app {}. It asks for your consent the first time.</p>\n",
        &[&describe_scope(scope)],
    );
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">", &[start_url]);
    main.add(BUTTON, &[]).add("Sign in with Hugging Face</a></p>\n", &[]);
    main.add("<p class=\"quiet\">Your password stays with Hugging Face.</p>\n", &[]);
    page(&format!("Sign in to {host}"), Illustration::Happy, &main)
}

/// Describes what a scope tells the app, as the end of a sentence. Unknown scopes are named as
/// they are.
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

/// Sign-in for an app in a frame. The provider cannot be framed, so the sign-in opens in a new
/// tab.
pub(crate) fn sign_in_framed(host: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>Sign in to <bdi>{}</bdi></h1>\n", &[host]);
    main.add(
        "<p>This app is embedded in another page. Signing in with Hugging Face needs a separate tab.</p>\n",
        &[],
    );
    main.add(
        "<p class=\"do\"><a class=\"button\" target=\"_blank\" rel=\"noopener\" href=\"{}\">",
        &[start_url],
    );
    main.add(BUTTON, &[]).add("Sign in (new tab)</a>\n", &[]);
    main.add("<a class=\"button second\" href=\"\">Then reload this page</a></p>\n", &[]);
    main.add(
        "<p class=\"quiet\">If you still see this page after that, your browser blocks cookies in embedded pages. \
         Use the app in the new tab instead.</p>\n",
        &[],
    );
    Page { csp: CSP_FRAMED, ..page(&format!("Sign in to {host}"), Illustration::Happy, &main) }
}

/// The session ended before a form was submitted. The browser can submit the form again from
/// this tab, so the sign-in opens in another.
pub(crate) fn form_not_sent(host: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>Your form was not sent</h1>\n", &[]);
    main.add(
        "<p>Your session at <bdi>{}</bdi> ended before the form was sent. To send it without losing your input:</p>\n",
        &[host],
    );
    main.add(
        "<ol>\n<li>Sign in. The button opens a new tab.</li>\n<li>Return to this tab.</li>\n\
         <li>Reload this page, and confirm that the browser should send the form again.</li>\n</ol>\n",
        &[],
    );
    main.add(
        "<p class=\"do\"><a class=\"button\" target=\"_blank\" rel=\"noopener\" href=\"{}\">",
        &[start_url],
    );
    main.add(BUTTON, &[]).add("Sign in (new tab)</a></p>\n", &[]);
    page("Your form was not sent", Illustration::Puzzled, &main)
}

/// The session ended while the app was at work on the request.
pub(crate) fn session_ended(host: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>Your session has ended</h1>\n", &[]);
    main.add(
        "<p>You were signed out of <bdi>{}</bdi> before the app answered. It may have received your request.</p>\n",
        &[host],
    );
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">", &[start_url]);
    main.add(BUTTON, &[]).add("Sign in again</a></p>\n", &[]);
    page("Your session has ended", Illustration::Asleep, &main)
}

/// A failed sign-in.
#[derive(Debug)]
pub(crate) struct SignInFailed<'a> {
    /// The heading, without a full stop.
    pub(crate) title: &'a str,
    /// What happened, in whole sentences.
    pub(crate) cause: &'a str,
    /// What to do, in whole sentences.
    pub(crate) advice: &'a str,
    /// Starts another attempt.
    pub(crate) start_url: &'a str,
}

/// The page for a failed sign-in; the caller provides the text.
pub(crate) fn sign_in_failed(failed: &SignInFailed<'_>) -> Page {
    let mut main = Html::default();
    main.add("<h1>{}</h1>\n<p>{}</p>\n<p>{}</p>\n", &[failed.title, failed.cause, failed.advice]);
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Try again</a></p>\n", &[failed.start_url]);
    page(failed.title, Illustration::Puzzled, &main)
}

/// The page for a callback whose sign-in cannot be finished in this browser. `cause` is a
/// whole sentence, if it is known.
pub(crate) fn unfinished_sign_in(cause: Option<&str>, public_url: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>This sign-in cannot be finished here</h1>\n", &[]);
    match cause {
        Some(cause) => {
            main.add("<p>{}</p>\n", &[cause]);
        }
        None => {
            main.add("<p>Possible reasons:</p>\n", &[]);
            main.list(&[
                "It was started in another browser or in a private window.",
                "The browser blocks cookies of this site, or they were deleted in the meantime.",
                "It took longer than 10 minutes.",
                "It was already finished, and this address was opened again.",
                "The app was opened at another address.",
            ]);
        }
    }
    main.add("<p>Open <a href=\"{}\">{}</a> and sign in from there.</p>\n", &[public_url, public_url]);
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Try again</a></p>\n", &[start_url]);
    page("This sign-in cannot be finished here", Illustration::Puzzled, &main)
}

/// The sign-in succeeded, and the address that the person came for is no longer known.
pub(crate) fn signed_in_elsewhere(app_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>You are signed in</h1>\n", &[]);
    main.add(
        "<p>The address that you opened is very long, and it was lost during the sign-in. \
         Open it again: you do not need to sign in a second time.</p>\n",
        &[],
    );
    main.add("<p class=\"do\"><a class=\"button second\" href=\"{}\">Go to the app</a></p>\n", &[app_url]);
    page("You are signed in", Illustration::Happy, &main)
}

/// A redirect for an address that is too long for a header. It needs no script.
pub(crate) fn onward(url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>One moment</h1>\n<p>The page that you opened is loading.</p>\n", &[]);
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Go on</a></p>\n", &[url]);
    page_going_on("One moment", Illustration::Happy, &main, url)
}

/// The person denied consent at the provider (`access_denied`).
pub(crate) fn sign_in_cancelled(host: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>You are not signed in</h1>\n", &[]);
    main.add(
        "<p>You did not allow <bdi>{}</bdi> to use your Hugging Face account. Nothing was shared.</p>\n",
        &[host],
    );
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Sign in</a></p>\n", &[start_url]);
    page("You are not signed in", Illustration::Asleep, &main)
}

/// Two sign-ins succeeded, but the browser did not return the session cookie. Redirecting again
/// would loop.
pub(crate) fn sign_in_loop(public_url: &str, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>The sign-in does not stick</h1>\n", &[]);
    main.add(
        "<p>The sign-in with Hugging Face succeeded, but your browser did not keep the session cookie. Common causes:</p>\n",
        &[],
    );
    main.add("<ul>\n<li>Cookies are blocked for this site. Allow them.</li>\n", &[]);
    main.add(
        "<li>The app is embedded in another page, or opened in a private window. Open it in a normal tab.</li>\n",
        &[],
    );
    main.add(
        "<li>The app was opened at another address. Open <a href=\"{}\">{}</a>.</li>\n",
        &[public_url, public_url],
    );
    main.add(
        "<li>The clock of this computer is wrong, so the cookie expires immediately. Set the clock.</li>\n</ul>\n",
        &[],
    );
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Try again</a></p>\n", &[start_url]);
    page("The sign-in does not stick", Illustration::Puzzled, &main)
}

#[cfg(test)]
mod tests {
    use super::describe_scope;

    #[test]
    fn scopes_are_described() {
        assert_eq!(describe_scope("openid profile"), "who you are");
        assert_eq!(describe_scope("openid email"), "who you are and your email address");
        assert_eq!(
            describe_scope("openid profile email read-memberships jobs"),
            "who you are, your email address, which organisations you belong to and what “jobs” covers"
        );
    }
}
