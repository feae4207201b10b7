//! Something does not work, and it is not the person's access: the provider,
//! the app, the request, or we ourselves.

use super::{Face, Html, Page, shell};

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
    shell("Hugging Face does not answer", Face::Puzzled, &main)
}

/// The app cannot be reached (502). Its own address is nobody's business.
pub(crate) fn upstream_down(host: &str, signed_in: bool, retry_url: &str) -> Page {
    app_silent(
        "The app does not answer",
        "<p><bdi>{}</bdi> is not running, or is just starting.</p>\n",
        host,
        signed_in,
        retry_url,
    )
}

/// The app took the request and did not answer in time (504).
pub(crate) fn upstream_slow(host: &str, signed_in: bool, retry_url: &str) -> Page {
    app_silent(
        "The app takes too long",
        "<p><bdi>{}</bdi> got your request and did not answer in time. It may still be working on it.</p>\n",
        host,
        signed_in,
        retry_url,
    )
}

/// What the two have in common. Whoever is `signed_in` is told that this part
/// works; on a public route there may be nobody.
fn app_silent(
    title: &'static str,
    sentence: &'static str,
    host: &str,
    signed_in: bool,
    retry_url: &str,
) -> Page {
    let mut main = Html::default();
    main.add("<h1>{}</h1>\n", &[title]).add(sentence, &[host]);
    if signed_in {
        main.add("<p>You are signed in, and will stay so. Wait a moment, then try again.</p>\n", &[]);
    } else {
        main.add("<p>Wait a moment, then try again.</p>\n", &[]);
    }
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Try again</a></p>\n", &[retry_url]);
    shell(title, Face::Puzzled, &main)
}

/// A request that must not be forwarded (400); `cause` is a whole sentence.
pub(crate) fn bad_request(cause: &str) -> Page {
    plain("This address cannot be opened", cause)
}

/// A body past the limit (413); `limit` as people write it: `10 MiB`.
pub(crate) fn too_large(limit: &str) -> Page {
    plain("That is too large", &format!("This app takes up to {limit} at once. Nothing was sent on."))
}

/// A fault of our own (500), whose details are in the log and not here.
pub(crate) fn internal() -> Page {
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
fn plain(title: &str, sentence: &str) -> Page {
    let mut main = Html::default();
    main.add("<h1>{}</h1>\n<p>{}</p>\n", &[title, sentence]);
    main.add("<p class=\"do\"><a class=\"button second\" href=\"/\">Go to the app</a></p>\n", &[]);
    shell(title, Face::Puzzled, &main)
}
