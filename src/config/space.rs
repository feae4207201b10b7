//! A Space of Hugging Face says most of what we need in its environment.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::environment::{Environment, set_default};
use super::tree::{Node, Place};
use crate::keys::{Secret, SecretString, sha256};

/// Shorter than any client secret that Hugging Face makes; one so short would
/// not do as the source of another.
const MIN_CLIENT_SECRET: usize = 16;

/// What the environment of a Space says beyond what has a key of its own.
pub(super) struct Space {
    client_secret: Option<SecretString>,
    /// The scopes of the Space's own OAuth app, if that is the app in use.
    pub(super) scopes: Option<String>,
}

impl Space {
    /// Whether we are in a Space with an OAuth app (`hf_oauth: true`).
    pub(super) fn is_present(environment: &Environment) -> bool {
        environment.get("SPACE_HOST").is_some() && environment.get("OAUTH_CLIENT_ID").is_some()
    }

    /// Puts what the Space says where neither the file nor a variable of ours
    /// says anything.
    pub(super) fn apply(environment: &Environment, root: &mut Node) -> Option<Self> {
        if !Self::is_present(environment) {
            return None;
        }
        let hosts = environment.get("SPACE_HOST")?;
        set_default(root, &["public_url"], &format!("https://{}", own_host(hosts)?), "SPACE_HOST");
        // The app runs in a frame of huggingface.co, where a lax cookie is not sent.
        set_default(root, &["session", "same_site"], "none", "SPACE_HOST");
        set_default(root, &["listen"], "0.0.0.0:7860", "SPACE_HOST");

        let provider =
            |root: &Node, name: &str| root.get("provider").is_some_and(|table| table.get(name).is_some());
        // The secret and the scopes belong to the Space's app, and to no other.
        let own_app = !provider(root, "client_id");
        if own_app {
            set_default(
                root,
                &["provider", "client_id"],
                environment.get("OAUTH_CLIENT_ID")?,
                "OAUTH_CLIENT_ID",
            );
            if let Some(secret) = environment.get("OAUTH_CLIENT_SECRET")
                && !provider(root, "client_secret_file")
            {
                set_default(root, &["provider", "client_secret"], secret, "OAUTH_CLIENT_SECRET");
            }
            if let Some(issuer) = environment.get("OPENID_PROVIDER_URL") {
                set_default(root, &["provider", "issuer"], issuer, "OPENID_PROVIDER_URL");
            }
        }
        Some(Self {
            client_secret: environment.get("OAUTH_CLIENT_SECRET").map(SecretString::new),
            scopes: environment.get("OAUTH_SCOPES").filter(|_| own_app).map(str::to_owned),
        })
    }

    /// A session secret made of the client secret, so that a Space needs none of
    /// its own. The client secret is random, long enough, and known to this Space
    /// alone; the hash keeps the two apart, so that neither can be had from what
    /// the other protects. Replicas and restarts arrive at the same one.
    pub(super) fn session_secret(&self) -> Option<Secret> {
        let client =
            self.client_secret.as_ref().filter(|secret| secret.expose().len() >= MIN_CLIENT_SECRET)?;
        let mut input = b"huggate space session v1".to_vec();
        input.extend_from_slice(client.expose().as_bytes());
        let derived = SecretString::new(STANDARD.encode(sha256(&input)));
        zeroize::Zeroize::zeroize(&mut input);
        Secret::parse(derived.expose()).ok()
    }

    /// The scopes that the Space's app may ask for: the first two it always may.
    pub(super) fn allowed(&self) -> Option<Vec<&str>> {
        let listed = self.scopes.as_deref()?.split_whitespace();
        let mut scopes = vec!["openid", "profile"];
        for scope in listed {
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        Some(scopes)
    }

    /// Where messages about the scopes point.
    pub(super) fn place() -> Place {
        Place::Variable("OAUTH_SCOPES".to_owned())
    }
}

/// Of several hosts (a Space can have a domain of its own) the one on hf.space,
/// since only there the provider accepts the callback.
fn own_host(hosts: &str) -> Option<&str> {
    let mut hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
    let first = hosts.clone().next();
    hosts.find(|host| host.ends_with(".hf.space")).or(first)
}
