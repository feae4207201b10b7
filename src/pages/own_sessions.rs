//! A person's own sessions, and the question before all of them end.

use super::html::Html;
use super::illustration::Illustration;
use super::layout::{Page, page};

/// A session as its page shows it.
#[derive(Debug)]
pub(crate) struct ShownSession {
    /// The browser: `Firefox on Linux`.
    pub(crate) browser: String,
    /// When it began, where, and when it was last used, as sentences.
    pub(crate) facts: String,
    /// Whether it is that of the request.
    pub(crate) is_this: bool,
    /// The URL that ends it.
    pub(crate) end_url: String,
}

/// The sessions of the person at `host`. `is_all` says whether the store knows of others.
pub(crate) fn own_sessions(
    (host, username): (&str, &str),
    sessions: &[ShownSession],
    is_all: bool,
    everywhere_url: &str,
) -> Page {
    let mut main = Html::default();
    main.add("<h1>Your sessions at <bdi>{}</bdi></h1>\n", &[host]);
    main.add("<p class=\"quiet\">You are signed in as <bdi>{}</bdi>.</p>\n", &[username]);
    for ShownSession { browser, facts, is_this, end_url } in sessions {
        main.add("<section>\n<h2>{}", &[browser]);
        main.add(if *is_this { " (this browser)</h2>\n" } else { "</h2>\n" }, &[]);
        main.add("<p class=\"quiet\">{}</p>\n", &[facts]);
        main.add("<form class=\"do\" method=\"post\" action=\"{}\">", &[end_url]);
        main.add(
            "<button class=\"button second\" type=\"submit\">Sign out</button></form>\n</section>\n",
            &[],
        );
    }
    if !is_all {
        main.add(
            "<p>Sessions in other browsers are not listed: each browser keeps its own. \
             Signing out everywhere ends them as well.</p>\n",
            &[],
        );
    }
    main.add("<section>\n<p class=\"do\"><a class=\"button\" href=\"{}\">", &[everywhere_url]);
    main.add("Sign out everywhere</a></p>\n</section>\n", &[]);
    page(&format!("Your sessions at {host}"), Illustration::Happy, &main)
}

/// Asks before all sessions of the person end. `count` is their number, if the store knows it.
pub(crate) fn confirm_everywhere(
    host: &str,
    count: Option<u64>,
    everywhere_url: &str,
    stay_url: &str,
) -> Page {
    let mut main = Html::default();
    main.add("<h1>Sign out of <bdi>{}</bdi> everywhere?</h1>\n", &[host]);
    let what = match count {
        Some(1) => "You have one session. It will end.".to_owned(),
        Some(count) => {
            format!("You have {count} sessions. All of them will end, in this browser and in every other.")
        }
        None => "All your sessions will end, in this browser and in every other.".to_owned(),
    };
    main.add("<p>{} Nothing has happened yet.</p>\n", &[&what]);
    main.add("<form class=\"do\" method=\"post\" action=\"{}\">\n", &[everywhere_url]);
    main.add("<button class=\"button\" type=\"submit\">Sign out everywhere</button>\n", &[]);
    main.add("<a class=\"button second\" href=\"{}\">Cancel</a>\n</form>\n", &[stay_url]);
    page(&format!("Sign out of {host} everywhere?"), Illustration::Puzzled, &main)
}

/// All sessions of the person have ended; `count` is their number, if it is known.
pub(crate) fn signed_out_everywhere(host: &str, count: Option<u64>, start_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>You are signed out of <bdi>{}</bdi> everywhere</h1>\n", &[host]);
    let what = match count {
        Some(1) => "One session has ended.".to_owned(),
        Some(count) => format!("{count} sessions have ended."),
        None => "All your sessions have ended.".to_owned(),
    };
    main.add("<p>{} You are still signed in to huggingface.co.</p>\n", &[&what]);
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Sign in again</a></p>\n", &[start_url]);
    page(&format!("Signed out of {host} everywhere"), Illustration::Asleep, &main)
}

/// There is no such session of the person.
pub(crate) fn no_such_session(sessions_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>This session has ended already</h1>\n", &[]);
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Show your sessions</a></p>\n", &[sessions_url]);
    page("This session has ended already", Illustration::Puzzled, &main)
}
