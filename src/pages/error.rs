//! Error pages that are not about the person's access: the provider, the request, or huggate
//! itself.

use super::html::Html;
use super::illustration::Illustration;
use super::layout::{Page, page};

/// The provider cannot be reached (503); `cause` is a whole sentence.
pub(crate) fn provider_unavailable(cause: &str, retry_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>Hugging Face does not answer</h1>\n<p>{}</p>\n", &[cause]);
    main.add(
        "<p>This app needs Hugging Face to check who you are. Your account is fine. \
         Wait a moment, then try again.</p>\n",
        &[],
    );
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Try again</a></p>\n", &[retry_url]);
    page("Hugging Face does not answer", Illustration::Puzzled, &main)
}

/// A request that is not forwarded (400); `cause` is a whole sentence.
pub(crate) fn bad_request(cause: &str) -> Page {
    plain("This address cannot be opened", cause)
}

/// The rules stopped allowing a request while the app was at work on it (403).
pub(crate) fn access_ended() -> Page {
    plain(
        "You may no longer open this page",
        "The people who run this app, or your organisation, changed who may enter before the app answered. It may have received your request.",
    )
}

/// The session store does not answer (503).
pub(crate) fn store_unavailable() -> Page {
    plain(
        "Please try again in a moment",
        "This app cannot look up who is signed in right now. Your session goes on. Load the page again in a few seconds.",
    )
}

/// An unknown path below our prefix (404).
pub(crate) fn not_found() -> Page {
    plain("Page not found", "There is no page at this address. Check the address, or go to the app.")
}

/// A heading, a sentence and a link to the app.
pub(super) fn plain(title: &str, sentence: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>{}</h1>\n<p>{}</p>\n", &[title, sentence]);
    main.add("<p class=\"do\"><a class=\"button second\" href=\"/\">Go to the app</a></p>\n", &[]);
    page(title, Illustration::Puzzled, &main)
}
