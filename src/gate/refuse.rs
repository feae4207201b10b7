//! The one place that turns a refusal into an answer.

use bytes::Bytes;
use http::Response;

use super::presentation::present;
use super::refusal::{Forbidden, Refusal};
use super::ruleset::Ruleset;
use super::span::{RefusalNames, record_refusal};
use crate::authn::SessionError;
use crate::client::{IncomingRequest, speaks_openai};
use crate::oauth2::OAuth2;
use crate::respond::{
    ForbiddenContext, OrgNames, bad_request, forbidden, openai, token_refused, unavailable,
};

/// Makes the response to a refusal.
pub(super) struct Refuser<'a> {
    pub(super) ruleset: &'a Ruleset,
    pub(super) oauth2: &'a OAuth2,
    pub(super) org_names: &'a OrgNames,
}

impl Refuser<'_> {
    /// The answer to a request that may not go on, with the refusal and the client in
    /// its extensions. This is the one place that logs a refusal.
    pub(super) async fn refuse(&self, refusal: Refusal, request: IncomingRequest<'_>) -> Response<Bytes> {
        let response = self.answer(&refusal, request).await;
        let response = openai::adapt(speaks_openai(&request.parts.headers), response);
        let names = RefusalNames::of(&refusal, &response);
        let user = match &refusal {
            Refusal::Forbidden(forbidden) => Some(forbidden.user()),
            _ => None,
        };
        let mut response = present(self.oauth2, response, request, user).await;
        record_refusal(self.ruleset, request, &refusal, &names, response.status());
        response.extensions_mut().insert(request.client.clone());
        response.extensions_mut().insert(refusal);
        response
    }

    async fn answer(&self, refusal: &Refusal, request: IncomingRequest<'_>) -> Response<Bytes> {
        let (oauth2, code) = (self.oauth2, refusal.code());
        match refusal {
            Refusal::NoHost => bad_request::bad_request(request, code, bad_request::NO_HOST),
            Refusal::NoPath => bad_request::bad_request(request, code, bad_request::NO_PATH),
            Refusal::AmbiguousPath => bad_request::bad_request(request, code, bad_request::AMBIGUOUS_PATH),
            Refusal::AmbiguousMethod => {
                bad_request::bad_request(request, code, bad_request::AMBIGUOUS_METHOD)
            }
            Refusal::NotSecure => oauth2.to_https(request),
            Refusal::SignIn => oauth2.require_sign_in(request).await,
            Refusal::Forbidden(Forbidden { denial, token, .. }) => {
                let return_to = oauth2.here(request);
                let context = ForbiddenContext {
                    urls: &oauth2.urls,
                    provider: &oauth2.provider,
                    org_names: self.org_names,
                    return_to: return_to.as_str(),
                };
                forbidden(request, denial, *token, context)
            }
            Refusal::CrossOrigin => bad_request::cross_origin(code),
            Refusal::StoreUnavailable => {
                unavailable::unconfirmed(request, &oauth2.urls, SessionError::StoreUnavailable)
            }
            Refusal::Unconfirmed { retry_after } => {
                let error = SessionError::Unconfirmed { retry_after: *retry_after };
                unavailable::unconfirmed(request, &oauth2.urls, error)
            }
            Refusal::NotHeld { retry_after } => {
                let error = SessionError::NotHeld { retry_after: *retry_after };
                unavailable::unconfirmed(request, &oauth2.urls, error)
            }
            Refusal::ForwardAuth(ambiguous) => {
                let cause = format!(
                    "The proxy in front of this app does not say which address was asked for: {ambiguous}."
                );
                bad_request::bad_request(request, code, &cause)
            }
            Refusal::UnknownHost => {
                let cause = format!(
                    "Nobody can sign in at {}: it is neither the address of this app, {}, nor the host of a route.",
                    request.client.host,
                    oauth2.urls.public_url.as_str(),
                );
                bad_request::bad_request(request, code, &cause)
            }
            Refusal::BadAuthorization(why) => token_refused::malformed(code, why),
            Refusal::TokenNeeded => token_refused::token_required(code),
            Refusal::InvalidToken { why, session_would_do } => {
                let sign_in_url = session_would_do.then(|| oauth2.sign_in_url(request));
                token_refused::invalid(code, why, sign_in_url.as_deref())
            }
            Refusal::TokenUnchecked { why, retry_after } => token_refused::unchecked(code, why, *retry_after),
        }
    }
}
