//! What takes part in a sign-in, learns of a sign-out, and answers in place of the gate.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Response;
use huggate::escape_html;
use huggate::hooks::{
    ErrorPage, ForbiddenPage, HookError, Html, Pages, RefusedRequest, SignIn, SignInPage, SignedOut,
    SignedOutPage, SigningIn,
};

/// Stands for a database of accounts.
#[derive(Debug, Default)]
pub struct Accounts {
    suspended: Mutex<BTreeSet<String>>,
    left: Mutex<Vec<String>>,
}

impl Accounts {
    /// Refuses the next sign-in of an account.
    pub fn suspend(&self, id: &str) {
        self.suspended.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned());
    }

    /// Who has signed out, in order.
    pub fn left(&self) -> Vec<String> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `None` is a suspended account.
    async fn plan_of(&self, id: &str) -> Result<Option<&'static str>, HookError> {
        let suspended = self.suspended.lock().map_err(|_| "a thread panicked with the accounts")?;
        Ok(if suspended.contains(id) { None } else { Some("gold") })
    }
}

pub(crate) async fn sign_in(accounts: Arc<Accounts>, person: SigningIn) -> Result<SignIn, HookError> {
    Ok(match accounts.plan_of(person.user().id()).await? {
        Some(plan) => SignIn::admit().claim("plan", plan),
        None => SignIn::refuse("Your account is suspended. Write to help@example.com."),
    })
}

pub(crate) async fn sign_out(accounts: Arc<Accounts>, person: SignedOut) -> Result<(), HookError> {
    let mut left = accounts.left.lock().map_err(|_| "a thread panicked with the accounts")?;
    left.push(person.user().username().to_owned());
    Ok(())
}

/// Programs get RFC 9457; everybody else the pages.
pub(crate) async fn refusal(refused: RefusedRequest) -> Result<Option<Response<Bytes>>, HookError> {
    if !refused.path().starts_with("/board/hub") {
        return Ok(None);
    }
    let problem = serde_json::json!({
        "type": format!("https://example.com/errors/{}", refused.code()),
        "status": refused.status().as_u16(),
        "detail": refused.reason(),
    });
    let response = Response::builder()
        .status(refused.status())
        .header("content-type", "application/problem+json")
        .body(Bytes::from(problem.to_string()))?;
    Ok(Some(response))
}

/// The pages of the noticeboard.
pub(crate) struct Branded;

impl Pages for Branded {
    fn sign_in(&self, page: &SignInPage) -> Option<Html> {
        Some(document("The noticeboard", &link(&page.start_url, "Sign in with Hugging Face")))
    }

    fn signed_out(&self, page: &SignedOutPage) -> Option<Html> {
        Some(document("Goodbye", &link(&page.start_url, "Sign in again")))
    }

    fn forbidden(&self, page: &ForbiddenPage) -> Option<Html> {
        let who = escape_html(&page.username);
        let why = escape_html(&page.reasons.join(" "));
        Some(document("For members of acme", &format!("<p>Sorry, {who}. {why}</p>")))
    }

    fn error(&self, page: &ErrorPage) -> Option<Html> {
        // The gate's own page for everything else.
        (page.code == "sign_in_refused").then(|| document("Suspended", &escape_html(&page.text)))
    }
}

/// A document; `main` is HTML.
fn document(title: &str, main: &str) -> Html {
    let title = escape_html(title);
    Html::new(format!(
        "<!doctype html>\n<html lang=\"en\">\n<title>{title}</title>\n<h1>{title}</h1>\n{main}\n"
    ))
}

fn link(url: &str, text: &str) -> String {
    format!("<p><a href=\"{}\">{}</a></p>", escape_html(url), escape_html(text))
}
