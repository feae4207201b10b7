//! 403: what somebody who may not enter is told, as a page or as JSON.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::answer;
use crate::gate::Inner;
use crate::oauth2::Ask;
use crate::pages::{self, Forbidden, OrganisationHint, Requirement};
use crate::policy::{Denial, DenialKind, Remedy, RemedyKind};
use crate::provider::TokenKind;

impl Inner {
    /// Somebody is signed in, and it is not their place.
    pub(crate) fn forbidden(&self, ask: Ask<'_>, denied: &Denial) -> Response<Bytes> {
        let denied = denied.clone().renamed(|id| self.org_names.name_of(id));
        if let Some(kind) = denied.token {
            return self.token_forbidden(&denied, kind);
        }
        let here = self.oauth2.here(ask);
        let issuer = self.oauth2.provider.issuer();
        let settings_url = issuer.connected_applications();
        let again_url = self.oauth2.start_url(&here, None);
        let remedy = denied.remedy.as_ref();
        let id = remedy
            .and_then(|remedy| remedy.id.clone().or_else(|| self.org_names.id_of(&remedy.organisation)));
        // Where it is not known, a sign-in asks for those that are configured.
        let grant_url = match (remedy, id) {
            (Some(_), Some(id)) => Some(self.oauth2.start_url(&here, Some(&id))),
            (Some(_), None) if self.oauth2.provider.asks_for_orgs() => Some(again_url.clone()),
            _ => None,
        };
        let organisation_url = remedy.map(|remedy| issuer.organisation(&remedy.organisation));
        if ask.wants_page() {
            let demands: Vec<Requirement<'_>> = denied
                .demands
                .iter()
                .map(|demand| Requirement {
                    who: &demand.who,
                    sentence: demand.sentence(denied.kind),
                    missing: demand.missing_in_sentences(),
                })
                .collect();
            let how = remedy.map(|remedy| {
                let organisation = remedy.organisation.as_str();
                let start_url = grant_url.as_deref();
                match remedy.kind {
                    RemedyKind::NotGranted => {
                        OrganisationHint::Share { organisation, start_url, settings_url: &settings_url }
                    }
                    RemedyKind::NotListed => {
                        OrganisationHint::MaybeMember { organisation, start_url, settings_url: &settings_url }
                    }
                    RemedyKind::Restricted => OrganisationHint::Restricted {
                        organisation,
                        start_url,
                        organisation_url: organisation_url.as_deref().unwrap_or_default(),
                    },
                }
            });
            let page = pages::forbidden(&Forbidden {
                host: &ask.client.host,
                username: &denied.username,
                requirements: &demands,
                how,
                again_url: &again_url,
                somebody_else_url: &self.oauth2.sign_out_url(&here),
            });
            return answer::page(StatusCode::FORBIDDEN, page);
        }
        let mut fields = told(&denied);
        let whole = |path: &str| format!("{}{path}", self.oauth2.public_url.as_str());
        if let Some(remedy) = remedy {
            fields.insert(named(remedy).to_owned(), json!(remedy.organisation));
            match remedy.kind {
                RemedyKind::NotGranted | RemedyKind::NotListed => {
                    fields.insert("settings_url".to_owned(), json!(settings_url))
                }
                RemedyKind::Restricted => {
                    fields.insert("organisation_url".to_owned(), json!(organisation_url))
                }
            };
            if let Some(path) = grant_url {
                fields.insert("grant_url".to_owned(), json!(whole(&path)));
            }
        }
        fields.insert("sign_in_url".to_owned(), json!(whole(&again_url)));
        answer::json(StatusCode::FORBIDDEN, &Value::Object(fields))
    }

    /// Somebody came with a token, and it is not their place. No consent page can be
    /// offered for a token; it is changed where it was made.
    fn token_forbidden(&self, denied: &Denial, kind: TokenKind) -> Response<Bytes> {
        let issuer = self.oauth2.provider.issuer();
        let remedy = denied.remedy.as_ref().filter(|remedy| remedy.kind != RemedyKind::Restricted);
        let organisation = remedy.map(|remedy| &remedy.organisation);
        let advice = organisation.and_then(|organisation| match kind {
            TokenKind::Access { fine_grained: true } => {
                let url = issuer.access_tokens();
                Some((format!("This is a fine-grained token, which may not show {organisation}. Open {url}, edit the token, and choose {organisation} under its organisation permissions."), url))
            }
            // Such a token shows every organisation that its owner is in.
            TokenKind::Access { fine_grained: false } | TokenKind::App => None,
            TokenKind::OAuth => {
                let url = issuer.connected_applications();
                Some((format!("The app that got this token may not have been shown {organisation}. Open {url}, disconnect that app, sign in to it again, tick {organisation} when asked, and use the new token."), url))
            }
        });
        let mut fields = told(denied);
        if let Some((advice, url)) = advice {
            let description = format!("{} {advice}", description(denied));
            fields.insert("error_description".to_owned(), json!(description));
            fields.insert("organisation_not_granted".to_owned(), json!(organisation));
            fields.insert("settings_url".to_owned(), json!(url));
        }
        answer::json(StatusCode::FORBIDDEN, &Value::Object(fields))
    }
}

/// What programs are told of every refusal.
fn told(denied: &Denial) -> Map<String, Value> {
    let list = match denied.kind {
        DenialKind::NotAllowed => "open_to",
        DenialKind::Denial | DenialKind::PerhapsDenied => "closed_to",
    };
    Map::from_iter([
        ("error".to_owned(), json!("access_denied")),
        ("error_description".to_owned(), json!(description(denied))),
        ("username".to_owned(), json!(denied.username)),
        (list.to_owned(), json!(denied.demands)),
    ])
}

fn description(denied: &Denial) -> String {
    format!("{} may not enter. {}", denied.username, denied.sentences().join(" "))
}

/// The field that names the organisation.
fn named(remedy: &Remedy) -> &'static str {
    match remedy.kind {
        RemedyKind::NotGranted | RemedyKind::NotListed => "organisation_not_granted",
        RemedyKind::Restricted => "organisation_restricting",
    }
}
