//! The provider's own session ends after ours: OpenID Connect RP-Initiated Logout 1.0.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Response, StatusCode};
use url::Url;

use super::endpoints::OAuth2;
use super::return_to::ReturnTo;
use crate::client::IncomingRequest;
use crate::hooks::{PageContent, SignedOutPage};
use crate::keys::SecretString;
use crate::pages::{self, ContinueLink, ProviderState};
use crate::respond::{answer, unavailable};
use crate::session::SessionLookup;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// The maximum length of a return address that goes to the provider and back.
const MAX_STATE: usize = 1_000;

impl OAuth2 {
    /// The address at the provider that a page goes on to after its session has ended; `None`
    /// for a provider that has no such endpoint or is not known, and for programs, in which
    /// nobody has a session at the provider.
    pub(super) async fn end_session_url(
        &self,
        request: IncomingRequest<'_>,
        id_token: Option<&SecretString>,
        return_to: &ReturnTo,
    ) -> Option<Url> {
        if !request.wants_page() {
            return None;
        }
        let mut url = self.provider.end_session_endpoint().await?;
        let back = self.own_address(request.client, "/signed_out");
        {
            let mut query = url.query_pairs_mut();
            if let Some(id_token) = id_token {
                query.append_pair("id_token_hint", id_token.expose());
            }
            query.append_pair("client_id", self.provider.client_id());
            query.append_pair("post_logout_redirect_uri", &back);
            let state = return_to.as_str();
            if state != "/" && state.len() <= MAX_STATE {
                query.append_pair("state", state);
            }
        }
        Some(url)
    }

    /// `signed_out`: where the provider returns to. It ends nothing. Somebody who has signed in
    /// meanwhile goes on to the app.
    pub(super) async fn signed_out(&self, request: IncomingRequest<'_>) -> Response<Bytes> {
        let state = request.parameter("state");
        let return_to = state.map_or_else(ReturnTo::root, |state| self.parse_return(&state));
        match self.sessions.open(&request.parts.headers).await {
            SessionLookup::Session(_) => answer::redirect(return_to.as_str()),
            SessionLookup::Unknown(_) => unavailable::store_unavailable(request),
            SessionLookup::Nobody => self.signed_out_page(request, &return_to, ProviderState::Unmentioned),
        }
    }

    /// The page after a sign-out.
    pub(super) fn signed_out_page(
        &self,
        request: IncomingRequest<'_>,
        return_to: &ReturnTo,
        provider: ProviderState,
    ) -> Response<Bytes> {
        let onward = ContinueLink { url: return_to.as_str(), name: return_to.name() };
        let onward = (return_to.as_str() != "/").then_some(&onward);
        let start = self.urls.start(ReturnTo::root().as_str(), None);
        let page = pages::signed_out(&request.client.host, &start, onward, provider);
        let content = SignedOutPage {
            host: request.client.host.to_string(),
            start_url: start,
            continue_url: onward.map(|onward| onward.url.to_owned()),
        };
        answer::about(answer::page(StatusCode::OK, page), PageContent::SignedOut(content))
    }
}

/// The answer that goes on to the provider, and removes the cookies of the session. A browser
/// applies `form-action` to the redirects that follow a form as well, so the answer to a form is
/// a page that goes on by itself.
pub(super) fn on_to_provider(
    request: IncomingRequest<'_>,
    url: &Url,
    lines: Vec<HeaderValue>,
) -> Response<Bytes> {
    let mut response = if request.parts.method == Method::POST {
        let page = pages::signing_out(&request.client.host, url.as_str());
        answer::with_cookies(answer::page(StatusCode::OK, page), lines)
    } else {
        answer::onward(url.as_str(), lines)
    };
    clear_cache(&mut response);
    response
}

/// Clears the browser's cached pages of the app, so that the back button shows nothing to the
/// next person at this device.
pub(super) fn clear_cache(response: &mut Response<Bytes>) {
    response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
}
