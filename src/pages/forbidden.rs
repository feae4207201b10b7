//! The page for signed-in people without access (403).

use super::html::Html;
use super::illustration::Illustration;
use super::layout::{Page, page};

/// What the 403 page shows.
#[derive(Debug)]
pub(crate) struct Forbidden<'a> {
    /// The app's host.
    pub(crate) host: &'a str,
    /// The signed-in person's username.
    pub(crate) username: &'a str,
    /// The rules that were not met, or the one that denies access.
    pub(crate) requirements: &'a [Requirement<'a>],
    /// An organisation whose membership the person can prove or fix.
    pub(crate) how: Option<OrganisationHint<'a>>,
    /// Whether a sign-in asks for something now that it did not ask for before, and that a
    /// rule needs.
    pub(crate) sign_in_again: bool,
    /// Starts a sign-in, after which changes take effect.
    pub(crate) again_url: &'a str,
    /// Ends this session and starts a sign-in.
    pub(crate) somebody_else_url: &'a str,
}

/// A rule and what is missing to meet it.
#[derive(Debug)]
pub(crate) struct Requirement<'a> {
    /// Who the rule admits: "a member of acme".
    pub(crate) who: &'a str,
    /// The rule as a sentence.
    pub(crate) sentence: String,
    /// What is missing; may be empty.
    pub(crate) missing: String,
}

/// How to get recognised as a member of an organisation.
///
/// The provider asks for consent only once, so an ordinary sign-in changes nothing. `start_url`
/// is a sign-in that requests the organisation; it is absent if the organisation's id is
/// unknown.
#[derive(Debug)]
pub(crate) enum OrganisationHint<'a> {
    /// A member who did not grant the app access to the organisation.
    Share { organisation: &'a str, start_url: Option<&'a str>, settings_url: &'a str },
    /// Possibly a member who did not grant the app access to the organisation.
    MaybeMember { organisation: &'a str, start_url: Option<&'a str>, settings_url: &'a str },
    /// A member whom the organisation blocks until its security rules are met.
    Restricted { organisation: &'a str, start_url: Option<&'a str>, organisation_url: &'a str },
}

/// The page for an account without access.
pub(crate) fn forbidden(forbidden: &Forbidden<'_>) -> Page {
    let mut main = Html::default();
    main.add("<h1>This account has no access</h1>\n", &[]);
    main.add(
        "<p>You are signed in to <bdi>{}</bdi> as <bdi class=\"who\">{}</bdi>, but this account is not allowed to open this page.</p>\n",
        &[forbidden.host, forbidden.username],
    );
    requirements(&mut main, forbidden.requirements);
    if forbidden.sign_in_again {
        main.add(
            "<p class=\"do\"><a class=\"button\" href=\"{}\">Sign in again</a></p>\n",
            &[forbidden.again_url],
        );
    }
    match &forbidden.how {
        Some(how) => organisation_hint(&mut main, how),
        None if forbidden.sign_in_again => {}
        None if forbidden.requirements.iter().any(|requirement| !requirement.missing.is_empty()) => {
            main.add(
                "<p class=\"quiet\">Has that changed? <a href=\"{}\">Sign in again</a> to update your access.</p>\n",
                &[forbidden.again_url],
            );
        }
        None => {}
    }
    main.add("<section aria-labelledby=\"other\">\n<h2 id=\"other\">Another account?</h2>\n", &[]);
    main.add(
        "<p class=\"quiet\">Hugging Face signs you in with the account you use there. \
         To use another one, sign out of huggingface.co first.</p>\n",
        &[],
    );
    main.add(
        "<p class=\"do\"><a class=\"button second\" href=\"{}\">Sign in with another account</a></p>\n</section>\n",
        &[forbidden.somebody_else_url],
    );
    page(&format!("No access to {}", forbidden.host), Illustration::Sorry, &main)
}

/// The unmet rules, and what is missing.
fn requirements(main: &mut Html, requirements: &[Requirement<'_>]) {
    match requirements {
        [] => {}
        [one] => {
            main.add("<p>{}</p>\n", &[&one.sentence]);
            if !one.missing.is_empty() {
                main.add("<p>{}</p>\n", &[&one.missing]);
            }
        }
        several => {
            // A deny rule is always alone; several rules are alternatives.
            main.add("<p>It is open to:</p>\n<ul>\n", &[]);
            for requirement in several {
                main.add("<li>{}", &[requirement.who]);
                if !requirement.missing.is_empty() {
                    main.add("<br><span class=\"quiet\">{}</span>", &[&requirement.missing]);
                }
                main.add("</li>\n", &[]);
            }
            main.add("</ul>\n", &[]);
        }
    }
}

/// What the person can do about their membership.
fn organisation_hint(main: &mut Html, how: &OrganisationHint<'_>) {
    match how {
        OrganisationHint::Share { organisation, start_url, settings_url } => {
            main.add(
                "<section aria-labelledby=\"how\">\n<h2 id=\"how\">Share <bdi>{}</bdi> with this app</h2>\n",
                &[organisation],
            );
            main.add(
                "<p>Hugging Face only asks which organisations to share when you first sign in.</p>\n",
                &[],
            );
            how_to_share(main, organisation, *start_url, settings_url);
        }
        OrganisationHint::MaybeMember { organisation, start_url, settings_url } => {
            main.add(
                "<section aria-labelledby=\"how\">\n<h2 id=\"how\">Are you a member of <bdi>{}</bdi>?</h2>\n",
                &[organisation],
            );
            main.add(
                "<p>This app cannot see your membership yet. Hugging Face only asks which organisations to share \
                 when you first sign in.</p>\n",
                &[],
            );
            how_to_share(main, organisation, *start_url, settings_url);
        }
        OrganisationHint::Restricted { organisation, start_url, organisation_url } => {
            main.add(
                "<section aria-labelledby=\"how\">\n<h2 id=\"how\">What <bdi>{}</bdi> requires</h2>\n",
                &[organisation],
            );
            main.add(
                "<p>Your single sign-on session may have expired. Signing in again renews it.</p>\n",
                &[],
            );
            if let Some(start_url) = start_url {
                main.add(
                    "<p class=\"do\"><a class=\"button\" href=\"{}\"><span>Sign in again with <bdi>{}</bdi></span></a></p>\n",
                    &[start_url, organisation],
                );
            }
            main.add(
                "<p class=\"quiet\">If that does not help, open <a href=\"{}\"><bdi>{}</bdi> on Hugging Face</a> and follow \
                 the instructions there. Then sign in again.</p>\n</section>\n",
                &[organisation_url, organisation],
            );
        }
    }
}

/// Two ways to grant access to an organisation after the first sign-in; closes the section.
fn how_to_share(main: &mut Html, organisation: &str, start_url: Option<&str>, settings_url: &str) {
    if let Some(start_url) = start_url {
        main.add(
            "<p class=\"do\"><a class=\"button\" href=\"{}\"><span>Sign in again and share <bdi>{}</bdi></span></a></p>\n",
            &[start_url, organisation],
        );
        main.add("<p class=\"quiet\">If you are not asked, open ", &[]);
    } else {
        main.add("<p>To be asked again, open ", &[]);
    }
    main.add(
        "<a href=\"{}\">your connected applications</a>, disconnect this app, and sign in again. \
         Select <bdi>{}</bdi> when you are asked.</p>\n</section>\n",
        &[settings_url, organisation],
    );
}
