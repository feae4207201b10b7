//! The app behind the proxy does not answer, or is not asked to.

use super::html::Html;
use super::illustration::Illustration;
use super::layout::{Page, page};

/// The app cannot be reached (502). Its own address is nobody's business.
pub(crate) fn upstream_down(host: &str, signed_in: bool, retry_url: &str) -> Page {
    app_error(
        "The app does not answer",
        "<p><bdi>{}</bdi> is not running, or is just starting.</p>\n",
        host,
        signed_in,
        retry_url,
    )
}

/// The app took the request and did not answer in time (504).
pub(crate) fn upstream_slow(host: &str, signed_in: bool, retry_url: &str) -> Page {
    app_error(
        "The app takes too long",
        "<p><bdi>{}</bdi> got your request and did not answer in time. It may still be working on it.</p>\n",
        host,
        signed_in,
        retry_url,
    )
}

/// The app has as many requests as it may (503); this one was not sent.
pub(crate) fn upstream_busy(host: &str, signed_in: bool, retry_url: &str) -> Page {
    app_error(
        "The app is busy",
        "<p><bdi>{}</bdi> has more to do than it takes at a time. Your request was not sent to it.</p>\n",
        host,
        signed_in,
        retry_url,
    )
}

/// The client stopped in the middle of its request (408).
pub(crate) fn request_incomplete() -> Page {
    super::error::plain(
        "Your request did not arrive",
        "Its beginning came, and the rest did not come in time. Send it again.",
    )
}

/// What the three have in common. Whoever is `signed_in` is told that this part
/// works; on a public route there may be nobody.
fn app_error(
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
    page(title, Illustration::Puzzled, &main)
}

/// A body past the limit (413); `limit` as people write it: `10 MiB`.
pub(crate) fn body_too_large(limit: &str) -> Page {
    super::error::plain(
        "That is too large",
        &format!("This app takes up to {limit} at once. Nothing was sent on."),
    )
}
