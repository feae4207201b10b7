//! Every "no", and the one place that turns it into an answer.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::Inner;
use super::forward_auth::Unclear;
use super::policy::Denied;
use crate::client::Kind;
use crate::oauth2::{Ask, Unconfirmed, answer};
use crate::pages::{self, HowToGrant, Refused};
use crate::session::StoreDown;

/// Why a request did not reach the app. It is left in the response's extensions
/// for logs and metrics, and so is the [`Client`](crate::Client) it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request does not name one host, or names one by a port that makes it
    /// another to some servers and not to others.
    NoHost,
    /// The target is no path: `*`, an authority, or something with a raw `#`.
    NoPath,
    /// The path can be read in several ways that would be decided differently.
    AmbiguousPath,
    /// Nobody is signed in.
    SignIn,
    /// Somebody is signed in, and it is not their place.
    Forbidden(Forbidden),
    /// A page of another site asked for a WebSocket.
    CrossOrigin,
    /// The session store cannot be asked.
    StoreUnavailable,
    /// The provider cannot be asked whether a session still counts, and its last
    /// word is too old.
    Unconfirmed {
        /// Seconds until it is asked again.
        retry_after: u64,
    },
    /// A proxy asks (forward auth) without saying unmistakably about what.
    ForwardAuth(Unclear),
    /// A proxy asks (forward auth) for a host where nobody can sign in.
    UnknownHost,
}

impl From<Unconfirmed> for Refusal {
    fn from(unconfirmed: Unconfirmed) -> Self {
        match unconfirmed {
            Unconfirmed::Store(StoreDown) => Self::StoreUnavailable,
            Unconfirmed::Provider { retry_after } => Self::Unconfirmed { retry_after },
        }
    }
}

/// Who was refused, and what would have helped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forbidden(pub(super) Denied);

impl Forbidden {
    /// Who was refused.
    #[must_use]
    pub fn username(&self) -> &str {
        &self.0.username
    }

    /// Who may enter, one sentence each.
    #[must_use]
    pub fn reasons(&self) -> &[String] {
        &self.0.reasons
    }
}

impl Refusal {
    /// The error code of the JSON answer, and of logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHost => "invalid_host",
            Self::NoPath => "invalid_target",
            Self::AmbiguousPath => "ambiguous_path",
            Self::SignIn => "login_required",
            Self::Forbidden(_) => "access_denied",
            Self::CrossOrigin => "cross_origin",
            Self::StoreUnavailable | Self::Unconfirmed { .. } => "temporarily_unavailable",
            Self::ForwardAuth(_) => "invalid_forward_auth",
            Self::UnknownHost => "unknown_host",
        }
    }
}

impl Inner {
    /// The answer to a request that may not go on.
    pub(super) async fn refuse(&self, refusal: Refusal, ask: Ask<'_>) -> Response<Bytes> {
        let mut response = match &refusal {
            Refusal::NoHost => bad_request(
                ask,
                &refusal,
                "The request does not name exactly one host, or names it with a port that is not in use here.",
            ),
            Refusal::NoPath => bad_request(ask, &refusal, "The address of the request is not a path."),
            Refusal::AmbiguousPath => bad_request(
                ask,
                &refusal,
                "The path of this address can be read in more than one way, and not every way is open to everybody. Write it without dot segments, doubled slashes, backslashes, semicolons and encoded letters.",
            ),
            Refusal::SignIn => self.sign_in(ask).await,
            Refusal::Forbidden(Forbidden(denied)) => self.forbidden(ask, denied),
            Refusal::CrossOrigin => answer::json(
                StatusCode::FORBIDDEN,
                &json!({
                    "error": refusal.code(),
                    "error_description": "A page of another site asked for this WebSocket (its Origin is not this app's).",
                }),
            ),
            Refusal::StoreUnavailable => self.oauth2.unconfirmed(ask, Unconfirmed::Store(StoreDown)),
            Refusal::Unconfirmed { retry_after } => {
                self.oauth2.unconfirmed(ask, Unconfirmed::Provider { retry_after: *retry_after })
            }
            Refusal::ForwardAuth(unclear) => {
                let cause = format!(
                    "The proxy in front of this app does not say which address was asked for: {unclear}."
                );
                bad_request(ask, &refusal, &cause)
            }
            Refusal::UnknownHost => {
                let cause = format!(
                    "Nobody can sign in at {}: it is neither the address of this app, {}, nor the host of a route.",
                    ask.client.host,
                    self.oauth2.public_url.as_str(),
                );
                bad_request(ask, &refusal, &cause)
            }
        };
        response.extensions_mut().insert(ask.client.clone());
        response.extensions_mut().insert(refusal);
        response
    }

    /// Nobody is signed in: pages are sent to the provider, programs are told.
    async fn sign_in(&self, ask: Ask<'_>) -> Response<Bytes> {
        match ask.kind {
            Kind::Navigation => match self.oauth2.begin_here(ask).await {
                Ok(response) => response,
                Err(error) => self.oauth2.provider_unavailable(ask, &error),
            },
            Kind::Framed => self.oauth2.framed(ask, &self.oauth2.here(ask)),
            Kind::Form => self.oauth2.form_not_sent(ask),
            Kind::Program => self.oauth2.sign_in_needed(ask),
        }
    }

    /// Somebody is signed in, and it is not their place.
    fn forbidden(&self, ask: Ask<'_>, denied: &Denied) -> Response<Bytes> {
        let here = self.oauth2.here(ask);
        let settings_url = self.oauth2.provider.issuer().connected_applications();
        let grant = denied.not_granted.as_ref();
        let grant_url =
            grant.and_then(|(_, id)| id.as_deref()).map(|id| self.oauth2.start_url(&here, Some(id)));
        if ask.wants_page() {
            let page = pages::refused(&Refused {
                host: &ask.client.host,
                username: &denied.username,
                reasons: &denied.reasons,
                how_to_grant: grant.map(|(organisation, _)| HowToGrant {
                    organisation,
                    start_url: grant_url.as_deref(),
                    settings_url: &settings_url,
                }),
                somebody_else_url: &self.oauth2.sign_out_url(&here),
            });
            return answer::page(StatusCode::FORBIDDEN, page);
        }
        let mut document = json!({
            "error": "access_denied",
            "error_description": format!("{} may not enter. {}", denied.username, denied.reasons.join(" ")),
        });
        if let (Some((organisation, _)), Some(fields)) = (grant, document.as_object_mut()) {
            fields.insert("organisation_not_granted".to_owned(), json!(organisation));
            fields.insert("settings_url".to_owned(), json!(settings_url));
            if let Some(path) = grant_url {
                let url = format!("{}{path}", self.oauth2.public_url.as_str());
                fields.insert("grant_url".to_owned(), json!(url));
            }
        }
        answer::json(StatusCode::FORBIDDEN, &document)
    }
}

/// 400: a page for people, JSON for programs.
fn bad_request(ask: Ask<'_>, refusal: &Refusal, cause: &str) -> Response<Bytes> {
    if ask.wants_page() {
        return answer::page(StatusCode::BAD_REQUEST, pages::bad_request(cause));
    }
    answer::json(StatusCode::BAD_REQUEST, &json!({"error": refusal.code(), "error_description": cause}))
}
