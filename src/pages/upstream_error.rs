//! Error pages of the proxy: the upstream, and limits of requests.

use super::html::Html;
use super::illustration::Illustration;
use super::layout::{Page, page};

/// The app cannot be reached (502). Its address is not shown.
pub(crate) fn upstream_down(host: &str, signed_in: bool, retry_url: &str) -> Page {
    app_error(
        "The app does not answer",
        "<p><bdi>{}</bdi> is not running, or is still starting.</p>\n",
        host,
        signed_in,
        retry_url,
    )
}

/// The app did not respond in time (504).
pub(crate) fn upstream_slow(host: &str, signed_in: bool, retry_url: &str) -> Page {
    app_error(
        "The app takes too long",
        "<p><bdi>{}</bdi> received your request but did not answer in time. It may still be working on it.</p>\n",
        host,
        signed_in,
        retry_url,
    )
}

/// The app's answer is not valid HTTP (502).
pub(crate) fn upstream_invalid(host: &str, signed_in: bool, retry_url: &str) -> Page {
    app_error(
        "The app’s answer is not valid",
        "<p><bdi>{}</bdi> answered your request, but not in valid HTTP. Whoever runs this app finds the cause in the log.</p>\n",
        host,
        signed_in,
        retry_url,
    )
}

/// The header of the app's answer is too long (502).
pub(crate) fn upstream_header_too_large(host: &str, signed_in: bool, retry_url: &str) -> Page {
    app_error(
        "The app’s answer is too large",
        "<p><bdi>{}</bdi> answered your request with a header that is too large to pass on. Whoever runs this app finds the limit in the log.</p>\n",
        host,
        signed_in,
        retry_url,
    )
}

/// All upstream connections are in use (503); the request was not sent.
pub(crate) fn upstream_busy(host: &str, signed_in: bool, retry_url: &str) -> Page {
    app_error(
        "The app is busy",
        "<p><bdi>{}</bdi> is handling as many requests as it can. Your request was not sent to it.</p>\n",
        host,
        signed_in,
        retry_url,
    )
}

/// The client did not complete its request in time (408).
pub(crate) fn request_incomplete() -> Page {
    super::error::plain(
        "Your request did not arrive",
        "Only part of your request arrived in time. Send it again.",
    )
}

/// The page for upstream errors. On public routes, nobody may be signed in.
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
        main.add("<p>You are still signed in. Wait a moment, then try again.</p>\n", &[]);
    } else {
        main.add("<p>Wait a moment, then try again.</p>\n", &[]);
    }
    main.add("<p class=\"do\"><a class=\"button\" href=\"{}\">Try again</a></p>\n", &[retry_url]);
    page(title, Illustration::Puzzled, &main)
}

/// A request body over the limit (413); `limit` is formatted: `10 MiB`.
pub(crate) fn body_too_large(limit: &str) -> Page {
    super::error::plain(
        "The request is too large",
        &format!("This app accepts up to {limit} per request. Nothing was sent to it."),
    )
}
