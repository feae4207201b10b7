//! The provider tells of a logout: OpenID Connect Back-Channel Logout 1.0, sections 2.5 to 2.8.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use super::endpoints::OAuth2;
use super::logout_body::LogoutBody;
use crate::causes::Causes;
use crate::client::IncomingRequest;
use crate::provider::ProviderLogout;
use crate::respond::answer;
use crate::session::LoggedOut;

/// Why nobody was logged out, or not everywhere.
struct Failed {
    /// The code of RFC 6749, section 5.2, or 4.1.2.1.
    code: &'static str,
    description: String,
}

impl Failed {
    fn invalid(description: impl Into<String>) -> Self {
        Self { code: "invalid_request", description: description.into() }
    }

    fn unavailable(description: impl Into<String>) -> Self {
        Self { code: "temporarily_unavailable", description: description.into() }
    }
}

impl OAuth2 {
    /// `backchannel_logout`: ends the sessions that a logout token names. The provider's server
    /// sends it, so there is neither a cookie nor an origin to check; the token's signature says
    /// who sent it. Section 2.8 has 200 for a logout that succeeded and 400 for every other.
    pub(crate) async fn backchannel_logout(
        &self,
        request: IncomingRequest<'_>,
        body: LogoutBody,
    ) -> Response<Bytes> {
        match self.log_out(request, body).await {
            Ok(sessions) => {
                tracing::info!(
                    target: "huggate::audit",
                    event = "session_revoked", client = ?request.client.ip, sessions,
                    "the provider ended sessions",
                );
                answer::text(StatusCode::OK, "")
            }
            Err(Failed { code, description }) => {
                // Every client can send one, so this is no warning.
                tracing::info!(client = ?request.client.ip, reason = %description, "a back-channel logout failed");
                let error = json!({"error": code, "error_description": description});
                answer::json(StatusCode::BAD_REQUEST, &error)
            }
        }
    }

    /// Returns how many sessions ended.
    async fn log_out(&self, request: IncomingRequest<'_>, body: LogoutBody) -> Result<u64, Failed> {
        let body = match body {
            LogoutBody::Whole(body) => body,
            LogoutBody::TooLarge => return Err(Failed::invalid("the body is larger than 16 KiB")),
            LogoutBody::Missing => return Err(Failed::invalid("the body did not arrive")),
        };
        if !is_form(request.parts.headers.get(CONTENT_TYPE)) {
            return Err(Failed::invalid("the body is not application/x-www-form-urlencoded"));
        }
        let token =
            logout_token(&body).ok_or_else(|| Failed::invalid("there is not exactly one logout_token"))?;
        let logout = self.provider.verify_logout(&token).await.map_err(|error| {
            let text = error.to_string();
            if error.is_transient() { Failed::unavailable(text) } else { Failed::invalid(text) }
        })?;
        if !self.logout_tokens.take(&logout.jti, logout.expires, self.clock.now()) {
            return Err(Failed::invalid("the logout token was used before (jti)"));
        }
        let ended = self.end_sessions(&logout).await;
        if ended.is_err() {
            self.logout_tokens.give_back(&logout.jti);
        }
        ended
    }

    async fn end_sessions(&self, logout: &ProviderLogout) -> Result<u64, Failed> {
        let ended = self.sessions.admin().log_out(logout.sub.as_deref(), logout.sid.as_deref()).await;
        match ended {
            Ok(LoggedOut::Everywhere(sessions)) => Ok(sessions),
            Ok(LoggedOut::HereOnly(_)) => {
                const WHY: &str = "the account's sessions have ended in this process until it restarts, and in \
                                   no other: huggate needs session.revocations or a session store";
                tracing::warn!(reason = WHY, "a back-channel logout is incomplete");
                Err(Failed::invalid(WHY))
            }
            Ok(LoggedOut::UnknownSession) => Err(Failed::invalid(
                "the logout token has no sub, and with session.store = \"cookie\" huggate does not know whose \
                 session sid is",
            )),
            Err(error) => {
                tracing::error!(error = %Causes(&error), "a back-channel logout could not end sessions");
                Err(Failed::unavailable("the session store does not answer"))
            }
        }
    }
}

fn is_form(content_type: Option<&HeaderValue>) -> bool {
    let essence = content_type.and_then(|value| value.to_str().ok()?.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// The parameter, if it is there once.
fn logout_token(body: &[u8]) -> Option<String> {
    let mut tokens = url::form_urlencoded::parse(body).filter(|(name, _)| name == "logout_token");
    let (_, token) = tokens.next()?;
    tokens.next().is_none().then(|| token.into_owned())
}
