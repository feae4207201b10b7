//! Configuration from the environment of a Space.

use super::*;
use crate::session::SameSitePolicy;

const SPACE: [(&str, &str); 6] = [
    ("SPACE_HOST", "app.example.com,ada-app.hf.space"),
    ("OAUTH_CLIENT_ID", "space-client"),
    ("OAUTH_CLIENT_SECRET", "oauth_app_secret_0123456789"),
    ("OAUTH_SCOPES", "email read-memberships"),
    ("OPENID_PROVIDER_URL", "https://huggingface.co"),
    ("HUGGATE_ACCESS__ALLOW", "[{ org = \"acme\" }]"),
];

fn space(change: impl Fn(&str, &str) -> Option<&'static str>) -> Environment {
    SPACE.into_iter().filter_map(|(name, value)| Some((name, change(name, value)?))).collect()
}

fn unchanged(name: &str, _: &str) -> Option<&'static str> {
    SPACE.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

#[test]
fn the_environment_of_a_space_is_enough() {
    let parts = read("", &space(unchanged)).unwrap_or_else(|problems| panic!("{problems}"));
    let gate = parts.gate;
    assert_eq!(gate.public_url.as_str(), "https://ada-app.hf.space");
    assert_eq!(gate.provider.client_id, "space-client");
    assert!(gate.provider.client_secret.is_some());
    assert_eq!(gate.provider.scope, "openid profile email read-memberships");
    assert_eq!(gate.session.same_site, SameSitePolicy::None);
    #[cfg(feature = "proxy")]
    assert_eq!(parts.server.listen, [crate::server::ListenAddress::parse("0.0.0.0:7860").unwrap()]);
    // All replicas must derive the same secret, also after a restart.
    let again = read("", &space(unchanged)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(gate.session.secrets, again.gate.session.secrets);
}

#[test]
fn the_file_and_our_own_variables_override_the_space() {
    let text = format!(
        "public_url = \"https://app.example.com\"\n[session]\nsecret = \"{SECRET}\"\nsame_site = \"lax\"\n[provider]\nclient_id = \"mine\"\n"
    );
    let gate = read(&text, &space(unchanged)).unwrap_or_else(|problems| panic!("{problems}")).gate;
    assert_eq!(gate.public_url.as_str(), "https://app.example.com");
    assert_eq!(gate.session.same_site, SameSitePolicy::Lax);
    assert_eq!(gate.provider.client_id, "mine");
    assert!(gate.provider.client_secret.is_none(), "the Space's secret is another app's");
    assert_eq!(gate.provider.scope, "openid profile read-memberships");
}

#[test]
fn missing_scopes_of_the_space_are_reported() {
    let environment =
        space(|name, value| if name == "OAUTH_SCOPES" { Some("email") } else { unchanged(name, value) });
    assert_eq!(
        problems("", &environment),
        "OAUTH_SCOPES: lacks read-memberships, which the rules about organisations need; add it to hf_oauth_scopes in the Space's README.md"
    );
}

#[test]
fn without_a_client_secret_the_session_secret_is_required() {
    let environment =
        space(|name, value| if name == "OAUTH_CLIENT_SECRET" { None } else { unchanged(name, value) });
    assert_eq!(
        problems("", &environment),
        "config.toml: session.secret: is missing; generate one with `huggate secret`, and save it as the Space's secret HUGGATE_SESSION__SECRET"
    );
}
