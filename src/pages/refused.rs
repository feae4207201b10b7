//! Signed in, and still not let in.

use super::{Face, Html, Page, shell};

/// Who was refused, what would have been needed, and what can be done.
#[derive(Debug)]
pub(crate) struct Refused<'a> {
    /// The app's host.
    pub(crate) host: &'a str,
    /// Who is signed in.
    pub(crate) username: &'a str,
    /// Why not, or who may: plain sentences, one for each alternative.
    pub(crate) reasons: &'a [String],
    /// Present: an organisation that may be missing only because it was never
    /// granted to the app.
    pub(crate) how_to_grant: Option<HowToGrant<'a>>,
    /// Ends this session and begins a sign-in.
    pub(crate) somebody_else_url: &'a str,
}

/// The two ways to show the app an organisation. The provider asks for
/// consent only once, so signing in again the ordinary way changes nothing.
#[derive(Debug)]
pub(crate) struct HowToGrant<'a> {
    /// The organisation's name.
    pub(crate) organisation: &'a str,
    /// Begins a sign-in that asks for this organisation; absent while its id
    /// is not known, which the provider needs to ask for it.
    pub(crate) start_url: Option<&'a str>,
    /// The provider's page where the app can be disconnected.
    pub(crate) settings_url: &'a str,
}

/// This account may not come in here.
pub(crate) fn refused(refused: &Refused<'_>) -> Page {
    let mut main = Html::default();
    main.add("<h1>This account has no access</h1>\n", &[]);
    main.add(
        "<p>You are signed in to <bdi>{}</bdi> as <bdi class=\"who\">{}</bdi>, and that account may not open this page.</p>\n",
        &[refused.host, refused.username],
    );
    match refused.reasons {
        [] => {}
        [reason] => _ = main.add("<p>{}</p>\n", &[reason]),
        several => _ = main.list(several),
    }
    if let Some(grant) = &refused.how_to_grant {
        how_to_grant(&mut main, grant);
    }
    main.add("<section aria-labelledby=\"other\">\n<h2 id=\"other\">Another account?</h2>\n", &[]);
    main.add(
        "<p class=\"quiet\">Hugging Face uses the account that is signed in there. \
         Sign out on huggingface.co first, then choose the other one.</p>\n",
        &[],
    );
    main.add(
        "<p class=\"do\"><a class=\"button second\" href=\"{}\">Sign in as somebody else</a></p>\n</section>\n",
        &[refused.somebody_else_url],
    );
    shell(&format!("No access to {}", refused.host), Face::Sorry, &main)
}

/// The block about an organisation the app has not been shown.
fn how_to_grant(main: &mut Html, grant: &HowToGrant<'_>) {
    main.add(
        "<section aria-labelledby=\"grant\">\n<h2 id=\"grant\">Are you in <bdi>{}</bdi>?</h2>\n",
        &[grant.organisation],
    );
    main.add(
        "<p>Then this app cannot see it yet. Hugging Face asks which organisations to show only once, \
         the first time you sign in.</p>\n",
        &[],
    );
    if let Some(start_url) = grant.start_url {
        main.add(
            "<p class=\"do\"><a class=\"button\" href=\"{}\"><span>Sign in again and share <bdi>{}</bdi></span></a></p>\n",
            &[start_url, grant.organisation],
        );
        main.add("<p class=\"quiet\">If that does not ask you, open ", &[]);
    } else {
        main.add("<p>To be asked again, open ", &[]);
    }
    main.add(
        "<a href=\"{}\">your connected applications</a>, disconnect this app, and sign in again. \
         Tick <bdi>{}</bdi> when you are asked.</p>\n</section>\n",
        &[grant.settings_url, grant.organisation],
    );
}
