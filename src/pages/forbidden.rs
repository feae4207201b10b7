//! Signed in, and still not let in.

use super::html::Html;
use super::illustration::Illustration;
use super::layout::{Page, page};

/// Who was forbidden, what would have been needed, and what can be done.
#[derive(Debug)]
pub(crate) struct Forbidden<'a> {
    /// The app's host.
    pub(crate) host: &'a str,
    /// Who is signed in.
    pub(crate) username: &'a str,
    /// Who may enter, or who may not: one for each alternative.
    pub(crate) requirements: &'a [Requirement<'a>],
    /// Present: an organisation in which something may be missing that the person
    /// can see to.
    pub(crate) how: Option<OrganisationHint<'a>>,
    /// Begins a sign-in, after which what has changed counts.
    pub(crate) again_url: &'a str,
    /// Ends this session and begins a sign-in.
    pub(crate) somebody_else_url: &'a str,
}

/// What is asked for, and what is in the way in plain sentences.
#[derive(Debug)]
pub(crate) struct Requirement<'a> {
    /// Who is meant: "a member of acme".
    pub(crate) who: &'a str,
    /// The same as a sentence.
    pub(crate) sentence: String,
    /// Empty if there is nothing to say.
    pub(crate) missing: String,
}

/// How to be seen as a member.
///
/// The provider asks for consent only once, so signing in again the ordinary way
/// changes nothing. A sign-in that asks for the organisation (`start_url`) may be
/// absent: its id must be known for that.
#[derive(Debug)]
pub(crate) enum OrganisationHint<'a> {
    /// They are in it, and did not show the app more than that.
    Share { organisation: &'a str, start_url: Option<&'a str>, settings_url: &'a str },
    /// They may be in it, and did not show the app.
    MaybeMember { organisation: &'a str, start_url: Option<&'a str>, settings_url: &'a str },
    /// They are in it, and it keeps them out until its rules are met.
    Restricted { organisation: &'a str, start_url: Option<&'a str>, organisation_url: &'a str },
}

/// This account may not come in here.
pub(crate) fn forbidden(forbidden: &Forbidden<'_>) -> Page {
    let mut main = Html::default();
    main.add("<h1>This account has no access</h1>\n", &[]);
    main.add(
        "<p>You are signed in to <bdi>{}</bdi> as <bdi class=\"who\">{}</bdi>, and that account may not open this page.</p>\n",
        &[forbidden.host, forbidden.username],
    );
    requirements(&mut main, forbidden.requirements);
    match &forbidden.how {
        Some(how) => organisation_hint(&mut main, how),
        None if forbidden.requirements.iter().any(|requirement| !requirement.missing.is_empty()) => {
            main.add(
                "<p class=\"quiet\">Has that changed? <a href=\"{}\">Sign in again</a>, and it counts at once.</p>\n",
                &[forbidden.again_url],
            );
        }
        None => {}
    }
    main.add("<section aria-labelledby=\"other\">\n<h2 id=\"other\">Another account?</h2>\n", &[]);
    main.add(
        "<p class=\"quiet\">Hugging Face uses the account that is signed in there. \
         Sign out on huggingface.co first, then choose the other one.</p>\n",
        &[],
    );
    main.add(
        "<p class=\"do\"><a class=\"button second\" href=\"{}\">Sign in as somebody else</a></p>\n</section>\n",
        &[forbidden.somebody_else_url],
    );
    page(&format!("No access to {}", forbidden.host), Illustration::Sorry, &main)
}

/// Who may enter, and what is missing for that.
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
            // A rule that keeps out is one; several are ways in.
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

/// What the person can do about their organisation.
fn organisation_hint(main: &mut Html, how: &OrganisationHint<'_>) {
    match how {
        OrganisationHint::Share { organisation, start_url, settings_url } => {
            main.add(
                "<section aria-labelledby=\"how\">\n<h2 id=\"how\">Show <bdi>{}</bdi> to this app</h2>\n",
                &[organisation],
            );
            main.add(
                "<p>Hugging Face asks which organisations to show only once, the first time you sign in.</p>\n",
                &[],
            );
            how_to_share(main, organisation, *start_url, settings_url);
        }
        OrganisationHint::MaybeMember { organisation, start_url, settings_url } => {
            main.add(
                "<section aria-labelledby=\"how\">\n<h2 id=\"how\">Are you in <bdi>{}</bdi>?</h2>\n",
                &[organisation],
            );
            main.add(
                "<p>Then this app cannot see it yet. Hugging Face asks which organisations to show only once, \
                 the first time you sign in.</p>\n",
                &[],
            );
            how_to_share(main, organisation, *start_url, settings_url);
        }
        OrganisationHint::Restricted { organisation, start_url, organisation_url } => {
            main.add(
                "<section aria-labelledby=\"how\">\n<h2 id=\"how\">What <bdi>{}</bdi> asks for</h2>\n",
                &[organisation],
            );
            main.add(
                "<p>Its single sign-on may have run out. A new sign-in takes you through it.</p>\n",
                &[],
            );
            if let Some(start_url) = start_url {
                main.add(
                    "<p class=\"do\"><a class=\"button\" href=\"{}\"><span>Sign in again with <bdi>{}</bdi></span></a></p>\n",
                    &[start_url, organisation],
                );
            }
            main.add(
                "<p class=\"quiet\">If that changes nothing, open <a href=\"{}\"><bdi>{}</bdi> on Hugging Face</a> and do \
                 what it asks for there. Then sign in again.</p>\n</section>\n",
                &[organisation_url, organisation],
            );
        }
    }
}

/// The two ways to be asked for an organisation again; ends the section.
fn how_to_share(main: &mut Html, organisation: &str, start_url: Option<&str>, settings_url: &str) {
    if let Some(start_url) = start_url {
        main.add(
            "<p class=\"do\"><a class=\"button\" href=\"{}\"><span>Sign in again and share <bdi>{}</bdi></span></a></p>\n",
            &[start_url, organisation],
        );
        main.add("<p class=\"quiet\">If that does not ask you, open ", &[]);
    } else {
        main.add("<p>To be asked again, open ", &[]);
    }
    main.add(
        "<a href=\"{}\">your connected applications</a>, disconnect this app, and sign in again. \
         Tick <bdi>{}</bdi> when you are asked.</p>\n</section>\n",
        &[settings_url, organisation],
    );
}
