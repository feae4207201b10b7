//! Something does not work, and it is not the person's access: the provider,
//! the app, the request, or we ourselves.

use super::html::Html;
use super::illustration::Illustration;
use super::layout::{Page, page};

/// The provider cannot be asked (503); `cause` is a whole sentence.
pub(crate) fn provider_unavailable(cause: &str, retry_url: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>Hugging Face does not answer</h1>\n<p>{}</p>\n", &[cause]);
    main.add(
        "<p>Without it, this app cannot tell who you are. Nothing is wrong with your account. \
         Wait a moment, then try again.</p>\n",
        &[],
    );
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Try again</a></p>\n", &[retry_url]);
    page("Hugging Face does not answer", Illustration::Puzzled, &main)
}

/// A request that must not be forwarded (400); `cause` is a whole sentence.
pub(crate) fn bad_request(cause: &str) -> Page {
    plain("This address cannot be opened", cause)
}

/// A fault of our own (500), whose details are in the log and not here.
pub(crate) fn internal_error() -> Page {
    plain(
        "Something went wrong here",
        "The fault is not yours, and has been written down for the people who run this app. Try again in a while.",
    )
}

/// A path below our prefix that is none of our endpoints (404).
pub(crate) fn not_found() -> Page {
    plain("There is nothing here", "The part of this site that signs people in has no page at this address.")
}

/// A heading, a sentence, and the way back to the app.
pub(super) fn plain(title: &str, sentence: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>{}</h1>\n<p>{}</p>\n", &[title, sentence]);
    main.add("<p class=\"do\"><a class=\"button second\" href=\"/\">Go to the app</a></p>\n", &[]);
    page(title, Illustration::Puzzled, &main)
}
