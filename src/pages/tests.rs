//! Properties of all pages.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::html::address;
use super::layout::{STYLE, STYLE_HASH};
use super::*;

/// Renders every page; `text` and `url` transform an ordinary value into the one to use.
fn every_page(text: impl Fn(&str) -> String, url: impl Fn(&str) -> String) -> Vec<(&'static str, Page)> {
    let host = &text("app.example.com");
    let start = &url("/oauth2/start?rd=%2Freports%2F42");
    let retry = &url("/reports/42?tab=2");
    let public_url = &url("https://app.example.com");
    let who = [
        text("a member of acme with the role admin or above"),
        text("a listed account"),
        text("anybody with a verified e-mail address at example.org"),
    ];
    let missing = [
        text("Your role in acme is read, and at least admin is needed. An admin of acme can change it."),
        String::new(),
        text(
            "Your e-mail address at Hugging Face is not verified. Verify it in the settings of your account \
             there, then sign in again.",
        ),
    ];
    let requirement = |(who, missing): (_, &String)| Requirement {
        who,
        sentence: format!("It is open to {who}."),
        missing: missing.clone(),
    };
    let requirements: Vec<Requirement<'_>> =
        who.iter().map(String::as_str).zip(&missing).map(requirement).collect();
    let organisation = text("acme");
    let organisation = organisation.as_str();
    let settings_url = "https://huggingface.co/settings/connected-applications";
    let refuse = |requirements, how| {
        forbidden(&Forbidden {
            host,
            username: &text("jörg-the-newcomer"),
            requirements,
            how,
            sign_in_again: false,
            again_url: start,
            somebody_else_url: start,
        })
    };
    let organisation_url = &url("https://huggingface.co/acme");
    let onward = ContinueLink { url: &url("https://www.example.com/bye"), name: &text("www.example.com") };
    let failed = SignInFailed {
        title: &text("Hugging Face sent an answer we do not trust"),
        cause: &text("The signature of its answer is not one of its keys'."),
        advice: &text("Try again. If it happens again, tell the people who run this app."),
        start_url: start,
    };
    vec![
        ("sign_in", sign_in(host, start, &text("openid profile email read-memberships"))),
        ("sign_in_framed", sign_in_framed(host, start)),
        ("form_not_sent", form_not_sent(host, start)),
        ("session_ended", session_ended(host, start)),
        ("access_ended", access_ended()),
        ("sign_in_failed", sign_in_failed(&failed)),
        ("unfinished_sign_in", unfinished_sign_in(None, public_url, start)),
        (
            "unfinished_sign_in_because",
            unfinished_sign_in(Some(&text("It took too long.")), public_url, start),
        ),
        ("signed_in_elsewhere", signed_in_elsewhere("/")),
        ("onward", super::onward(&url("/explore?form_data=%7B%22a%22%3A1%7D&b=2"))),
        ("sign_in_cancelled", sign_in_cancelled(host, start)),
        ("sign_in_loop", sign_in_loop(public_url, start)),
        ("signed_out", signed_out(host, start, None, ProviderState::SignedIn)),
        ("signed_out_onward", signed_out(host, start, Some(&onward), ProviderState::Unmentioned)),
        ("signing_out", signing_out(host, &url("/logout?client_id=a&post_logout_redirect_uri=b"))),
        ("confirm_sign_out", confirm_sign_out(host, &url("/oauth2/sign_out?rd=%2F"), retry, true)),
        ("forbidden", refuse(&requirements, None)),
        ("forbidden_by_role", refuse(&requirements[..1], None)),
        (
            "forbidden_share",
            refuse(
                &requirements,
                Some(OrganisationHint::Share { organisation, start_url: Some(start), settings_url }),
            ),
        ),
        (
            "forbidden_perhaps",
            refuse(
                &requirements[..1],
                Some(OrganisationHint::MaybeMember { organisation, start_url: Some(start), settings_url }),
            ),
        ),
        (
            "forbidden_perhaps_by_hand",
            refuse(
                &requirements[..1],
                Some(OrganisationHint::MaybeMember { organisation, start_url: None, settings_url }),
            ),
        ),
        (
            "forbidden_comply",
            refuse(
                &requirements[..1],
                Some(OrganisationHint::Restricted { organisation, start_url: Some(start), organisation_url }),
            ),
        ),
        ("provider_unavailable", provider_unavailable(&text("It took longer than 10 seconds."), retry)),
        ("upstream_down", upstream_down(host, true, retry)),
        ("upstream_invalid", upstream_invalid(host, true, retry)),
        ("upstream_header_too_large", upstream_header_too_large(host, true, retry)),
        ("upstream_slow", upstream_slow(host, false, retry)),
        ("upstream_busy", upstream_busy(host, false, retry)),
        ("request_incomplete", request_incomplete()),
        (
            "bad_request",
            bad_request(&text("Different servers would read this path differently: /a/..;/admin.")),
        ),
        ("body_too_large", body_too_large(&text("10 MiB"))),
        ("store_unavailable", store_unavailable()),
        ("not_found", not_found()),
    ]
}

/// Every page with ordinary values.
fn ordinary() -> Vec<(&'static str, Page)> {
    every_page(str::to_owned, str::to_owned)
}

/// The content of every tag in `html`.
fn tags(html: &str) -> impl Iterator<Item = &str> {
    html.split('<').filter_map(|rest| rest.split_once('>')).map(|(tag, _)| tag)
}

#[test]
fn the_policy_allows_the_style_sheet() {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, STYLE.as_bytes());
    let hash = format!("sha256-{}", STANDARD.encode(digest));
    assert_eq!(
        STYLE_HASH, hash,
        "style.css has changed: the left value in style_hash! becomes the right one"
    );
    for (name, page) in ordinary() {
        assert!(page.html.contains(&format!("<style>{STYLE}</style>")), "{name}");
        assert!(page.csp.contains(&format!("style-src '{hash}'")), "{name}");
    }
}

#[test]
fn only_the_framed_sign_in_page_may_be_framed() {
    for (name, page) in ordinary() {
        let ancestors = if name == "sign_in_framed" { "frame-ancestors *" } else { "frame-ancestors 'none'" };
        assert!(page.csp.ends_with(ancestors), "{name}: {}", page.csp);
    }
}

#[test]
fn hostile_values_are_escaped() {
    const HOSTILE: &str = "\"'><script>alert(1)</script>&<img src=x onerror=y>\0\u{1b}";
    for (name, page) in every_page(|value| format!("{value}{HOSTILE}"), |value| format!("{value}\"'><b>&c")) {
        let own = page.html.replace(STYLE, "");
        for markup in ["<script", "<img", "<b>", "\0", "\u{1b}", "&c"] {
            assert!(!own.contains(markup), "{name}: {markup:?} in {own}");
        }
        // An unpaired quote would end an attribute.
        for tag in tags(&own) {
            assert_eq!(tag.matches('"').count() % 2, 0, "{name}: <{tag}>");
        }
    }
}

#[test]
fn an_unsafe_address_is_replaced_by_the_root() {
    for url in [
        "javascript:alert(1)",
        "JAVASCRIPT:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "evil.example",
        "",
    ] {
        assert_eq!(address(url), "/", "{url:?}");
    }
    for url in ["/", "/a?b=c#d", "https://app.example.com/", "http://127.0.0.1:4180/"] {
        assert_eq!(address(url), url);
    }
    for (name, page) in every_page(str::to_owned, |_| "javascript:alert(1)".to_owned()) {
        assert!(!page.html.contains("=\"javascript:"), "{name}");
    }
}

#[test]
fn pages_have_no_scripts_and_no_external_resources() {
    for (name, Page { html, .. }) in ordinary() {
        for word in ["<script", "<iframe", "<img", "<object", "javascript:", "url(", "@import"] {
            assert!(!html.contains(word), "{name}: {word}");
        }
        for tag in tags(&html) {
            for attribute in [" on", " src=", " style=", " srcset="] {
                assert!(!tag.contains(attribute), "{name}: <{tag}>");
            }
            assert!(!tag.starts_with("link ") || tag.contains(" href=\"data:"), "{name}: <{tag}>");
        }
    }
}

#[test]
fn pages_are_small_and_complete() {
    for (name, Page { html, .. }) in ordinary() {
        assert!(html.len() < 8 * 1024, "{name}: {} bytes", html.len());
        for once in
            ["<!doctype html>", "<html lang=\"en\">", "<h1>", "<main>", "</main>", "<footer>", "</html>"]
        {
            assert_eq!(html.matches(once).count(), 1, "{name}: {once}");
        }
        for meta in ["viewport", "color-scheme", "robots"] {
            assert!(html.contains(&format!("<meta name=\"{meta}\"")), "{name}: {meta}");
        }
        assert!(!html.contains("{}"), "{name}: a place without a value");
    }
}

#[test]
fn links_to_new_tabs_have_no_opener() {
    for (name, Page { html, .. }) in ordinary() {
        let tabs = html.matches("target=\"_blank\"").count();
        assert_eq!(tabs, html.matches("target=\"_blank\" rel=\"noopener\"").count(), "{name}");
        assert_eq!(tabs, usize::from(["sign_in_framed", "form_not_sent"].contains(&name)), "{name}");
    }
}

#[test]
#[ignore = "writes every page to target/pages for looking at: cargo test -- --ignored render_pages"]
fn render_pages() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pages");
    std::fs::create_dir_all(&folder).unwrap();
    let long =
        |value: &str| format!("{value}-{}", "a-very-long-name-without-a-break".replace('-', "").repeat(3));
    let pages = ordinary().into_iter().map(|(name, page)| (name.to_owned(), page));
    let long = every_page(long, str::to_owned).into_iter().map(|(name, page)| (format!("{name}.long"), page));
    let other = every_page(|value| format!("מרחב שלום {value}"), str::to_owned)
        .into_iter()
        .map(|(name, page)| (format!("{name}.rtl"), page));
    for (name, page) in pages.chain(long).chain(other) {
        // The policy is included, so that the rendering shows what it blocks.
        let policy = page.csp.split("; frame-ancestors").next().unwrap();
        let meta = format!(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n<meta name=\"viewport\"",
        );
        let html = page.html.replacen("<meta name=\"viewport\"", &meta, 1);
        std::fs::write(folder.join(name).with_added_extension("html"), html).unwrap();
    }
}
