//! 403: the answer to an authenticated request that is not allowed, as a page or as JSON.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::answer;
use super::endpoint_urls::EndpointUrls;
use super::org_names::OrgNames;
use crate::client::IncomingRequest;
use crate::hooks::{ForbiddenPage, PageContent};
use crate::identity::TokenKind;
use crate::pages::{self, Forbidden, OrganisationHint, Requirement};
use crate::policy::{Denial, DenialKind, Remedy, RemedyKind};
use crate::provider::{Issuer, Provider};

/// The context of a 403.
#[derive(Clone, Copy)]
pub(crate) struct ForbiddenContext<'a> {
    pub(crate) urls: &'a EndpointUrls,
    pub(crate) provider: &'a Provider,
    pub(crate) org_names: &'a OrgNames,
    /// The return address after another sign-in.
    pub(crate) return_to: &'a str,
}

/// The links in a 403.
struct Links {
    /// Where people manage the organisations that they granted to apps.
    settings_url: String,
    /// Starts another sign-in.
    again_url: String,
    /// Starts another sign-in that requests the organisation.
    grant_url: Option<String>,
    organisation_url: Option<String>,
}

/// The answer to an authenticated request that is not allowed. `token` is the kind of
/// token that authenticated it, if any.
pub(crate) fn forbidden(
    request: IncomingRequest<'_>,
    denial: &Denial,
    token: Option<TokenKind>,
    context: ForbiddenContext<'_>,
) -> Response<Bytes> {
    let denial = denial.clone().renamed(|id| context.org_names.name_of(id));
    if let Some(kind) = token {
        return for_token(&denial, kind, context.provider.issuer());
    }
    let links = Links::new(denial.remedy.as_ref(), context);
    if request.wants_page() {
        page(request, &denial, &links, context)
    } else {
        document(&denial, &links, context.urls)
    }
}

impl Links {
    fn new(remedy: Option<&Remedy>, context: ForbiddenContext<'_>) -> Self {
        let ForbiddenContext { urls, provider, org_names, return_to } = context;
        let again_url = urls.start(return_to, None);
        let id =
            remedy.and_then(|remedy| remedy.id.clone().or_else(|| org_names.id_of(&remedy.organisation)));
        // Without its id, a sign-in can only request the configured organisations.
        let grant_url = match (remedy, id) {
            (Some(_), Some(id)) => Some(urls.start(return_to, Some(&id))),
            (Some(_), None) if provider.asks_for_orgs() => Some(again_url.clone()),
            _ => None,
        };
        Self {
            settings_url: provider.issuer().connected_applications(),
            organisation_url: remedy.map(|remedy| provider.issuer().organisation(&remedy.organisation)),
            again_url,
            grant_url,
        }
    }
}

fn page(
    request: IncomingRequest<'_>,
    denial: &Denial,
    links: &Links,
    context: ForbiddenContext<'_>,
) -> Response<Bytes> {
    let requirements: Vec<Requirement<'_>> = denial
        .requirements
        .iter()
        .map(|requirement| Requirement {
            who: &requirement.who,
            sentence: requirement.sentence(denial.kind),
            missing: requirement.missing_in_sentences(),
        })
        .collect();
    let page = pages::forbidden(&Forbidden {
        host: &request.client.host,
        username: &denial.username,
        requirements: &requirements,
        how: denial.remedy.as_ref().map(|remedy| organisation_hint(remedy, links)),
        sign_in_again: denial.sign_in_again,
        again_url: &links.again_url,
        somebody_else_url: &context.urls.sign_out(context.return_to),
    });
    let content = ForbiddenPage {
        host: request.client.host.to_string(),
        username: denial.username.clone(),
        user: None,
        reasons: denial.sentences(),
        again_url: links.again_url.clone(),
        share_url: links.grant_url.clone(),
        sign_out_url: context.urls.sign_out(context.return_to),
    };
    let page = answer::error_page(StatusCode::FORBIDDEN, "access_denied", &description(denial), page);
    answer::about(page, PageContent::Forbidden(content))
}

fn organisation_hint<'a>(remedy: &'a Remedy, links: &'a Links) -> OrganisationHint<'a> {
    let organisation = remedy.organisation.as_str();
    let start_url = links.grant_url.as_deref();
    let settings_url = links.settings_url.as_str();
    match remedy.kind {
        RemedyKind::NotGranted => OrganisationHint::Share { organisation, start_url, settings_url },
        RemedyKind::NotListed => OrganisationHint::MaybeMember { organisation, start_url, settings_url },
        RemedyKind::Restricted => OrganisationHint::Restricted {
            organisation,
            start_url,
            organisation_url: links.organisation_url.as_deref().unwrap_or_default(),
        },
    }
}

fn document(denial: &Denial, links: &Links, urls: &EndpointUrls) -> Response<Bytes> {
    let mut fields = fields_of(denial);
    if let Some(remedy) = &denial.remedy {
        fields.insert(organisation_field(remedy.kind).to_owned(), json!(remedy.organisation));
        match remedy.kind {
            RemedyKind::NotGranted | RemedyKind::NotListed => {
                fields.insert("settings_url".to_owned(), json!(links.settings_url))
            }
            RemedyKind::Restricted => {
                fields.insert("organisation_url".to_owned(), json!(links.organisation_url))
            }
        };
        if let Some(path) = &links.grant_url {
            fields.insert("grant_url".to_owned(), json!(urls.absolute(path)));
        }
    }
    fields.insert("sign_in_url".to_owned(), json!(urls.absolute(&links.again_url)));
    answer::json(StatusCode::FORBIDDEN, &Value::Object(fields))
}

/// The JSON for a request with a token. A token has no consent page; its owner changes it
/// where it was created.
fn for_token(denial: &Denial, kind: TokenKind, issuer: &Issuer) -> Response<Bytes> {
    let remedy = denial.remedy.as_ref().filter(|remedy| remedy.kind != RemedyKind::Restricted);
    let organisation = remedy.map(|remedy| &remedy.organisation);
    let advice = organisation.and_then(|organisation| match kind {
        TokenKind::Access { fine_grained: true } => {
            let url = issuer.access_tokens();
            Some((format!("This is a fine-grained token, and its permissions may not include {organisation}. Open {url}, edit the token, and choose {organisation} under its organisation permissions."), url))
        }
        // Such a token shows all organisations of its owner.
        TokenKind::Access { fine_grained: false } | TokenKind::App => None,
        TokenKind::OAuth => {
            let url = issuer.connected_applications();
            Some((format!("The app that received this token may not have access to {organisation}. Open {url}, disconnect that app, sign in to it again, select {organisation} when asked, and use the new token."), url))
        }
    });
    let mut fields = fields_of(denial);
    if let Some((advice, url)) = advice {
        let description = format!("{} {advice}", description(denial));
        fields.insert("error_description".to_owned(), json!(description));
        fields.insert("organisation_not_granted".to_owned(), json!(organisation));
        fields.insert("settings_url".to_owned(), json!(url));
    }
    answer::json(StatusCode::FORBIDDEN, &Value::Object(fields))
}

/// The fields of every 403.
fn fields_of(denial: &Denial) -> Map<String, Value> {
    let list = match denial.kind {
        DenialKind::NotAllowed => "open_to",
        DenialKind::Denied | DenialKind::PerhapsDenied => "closed_to",
    };
    Map::from_iter([
        ("error".to_owned(), json!("access_denied")),
        ("error_description".to_owned(), json!(description(denial))),
        ("username".to_owned(), json!(denial.username)),
        (list.to_owned(), json!(denial.requirements)),
    ])
}

fn description(denial: &Denial) -> String {
    format!("{} may not enter. {}", denial.username, denial.sentences().join(" "))
}

/// The field that names the organisation.
fn organisation_field(kind: RemedyKind) -> &'static str {
    match kind {
        RemedyKind::NotGranted | RemedyKind::NotListed => "organisation_not_granted",
        RemedyKind::Restricted => "organisation_restricting",
    }
}
