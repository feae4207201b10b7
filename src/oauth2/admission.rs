//! Whether a sign-in that the provider confirmed begins a session: the rules, then the app's
//! own hook.

use http::Method;

use super::endpoints::OAuth2;
use super::not_admitted::NotAdmitted;
use super::return_to::ReturnTo;
use crate::client::IncomingRequest;
use crate::hooks::{SignInOutcome, SigningIn, guarded};
use crate::identity::{AccessToken, AppClaims, AuthMethod, Person, Tokens, User};
use crate::policy::{Credential, Denial, Policy, RouteQuery};
use crate::respond::SignInFailure;

/// Why a sign-in does not begin a session.
pub(super) enum NotFinished {
    Failed(SignInFailure),
    NotAdmitted(NotAdmitted),
}

impl From<SignInFailure> for NotFinished {
    fn from(failure: SignInFailure) -> Self {
        Self::Failed(failure)
    }
}

impl OAuth2 {
    /// The claims of the session to begin, by the app's hook.
    ///
    /// Without a hook, everybody gets a session, and each request says what its person may
    /// open. With one, a person whom no rule admits gets none: rules that admit them later
    /// would find a session that the hook has not seen.
    pub(super) async fn admit(
        &self,
        request: IncomingRequest<'_>,
        person: &Person,
        tokens: &Tokens,
        return_to: &ReturnTo,
        policy: &Policy,
    ) -> Result<AppClaims, NotFinished> {
        let Some(hook) = &self.hooks.sign_in else { return Ok(AppClaims::default()) };
        let user = User::new(person.clone(), AuthMethod::Session);
        if !is_admitted_somewhere(person, policy) {
            let denial = denial(request, person, return_to, policy).ok_or(SignInFailure::HookFailed)?;
            return Err(NotFinished::NotAdmitted(NotAdmitted { denial: Box::new(denial), user }));
        }
        let signing_in = SigningIn {
            access_token: AccessToken::new(tokens.access.clone(), tokens.expires),
            client_ip: request.client.ip,
            host: request.client.host.clone(),
            return_to: return_to.as_str().to_owned(),
            user: user.clone(),
        };
        let answer = guarded("on_sign_in", self.hooks.timeout, hook, signing_in).await;
        match answer.map_err(|_| SignInFailure::HookFailed)?.outcome() {
            SignInOutcome::Refuse(message) => Err(SignInFailure::Refused { message, user }.into()),
            SignInOutcome::Admit(claims) => claims.finish().map_err(|error| {
                tracing::error!(hook = "on_sign_in", %error, "a hook's claims are not accepted");
                SignInFailure::HookFailed.into()
            }),
        }
    }
}

fn is_admitted_somewhere(person: &Person, policy: &Policy) -> bool {
    let routes = (0..policy.routes.list().len()).map(Some);
    std::iter::once(None).chain(routes).any(|route| policy.decide(route, &[], Some(person)).admits())
}

/// What keeps the person from the page that they were on the way to.
fn denial(
    request: IncomingRequest<'_>,
    person: &Person,
    return_to: &ReturnTo,
    policy: &Policy,
) -> Option<Denial> {
    let path = return_to.as_str().split(['?', '#']).next().unwrap_or_default();
    let query =
        RouteQuery { host: &request.client.host, by_name: false, method: &Method::GET, preflight: None };
    // An address on another host has no route here.
    let route = if path.starts_with('/') { policy.place(path, query).ok().flatten() } else { None };
    let missing = person.missing_for(policy.needs.filter());
    let credential = Credential { is_token: false, asks: policy.needs.asks(), missing };
    Denial::of(&policy.decide(route, &[], Some(person)), person, credential)
}
