//! Defaults from the environment of a Hugging Face Space.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::environment::{Environment, set_default};
use super::tree::{Node, Place};
use crate::keys::{Secret, SecretString, sha256};

/// Minimum length of a client secret from which a session secret is derived; all of Hugging
/// Face's are longer.
const MIN_CLIENT_SECRET: usize = 16;

/// The settings of a Space that are not values for keys.
pub(super) struct Space {
    client_secret: Option<SecretString>,
    /// The scopes of the Space's own OAuth app, if that app is used.
    pub(super) scopes: Option<String>,
}

impl Space {
    /// Whether the environment is that of a Space with an OAuth app (`hf_oauth: true`).
    pub(super) fn is_present(environment: &Environment) -> bool {
        environment.get("SPACE_HOST").is_some() && environment.get("OAUTH_CLIENT_ID").is_some()
    }

    /// Sets defaults for keys that neither the file nor a variable sets.
    pub(super) fn apply(environment: &Environment, root: &mut Node) -> Option<Self> {
        if !Self::is_present(environment) {
            return None;
        }
        let hosts = environment.get("SPACE_HOST")?;
        set_default(root, &["public_url"], &format!("https://{}", own_host(hosts)?), "SPACE_HOST");
        // The app runs in an iframe on huggingface.co, where SameSite=Lax cookies are not sent.
        set_default(root, &["session", "same_site"], "none", "SPACE_HOST");
        set_default(root, &["listen"], "0.0.0.0:7860", "SPACE_HOST");

        let provider =
            |root: &Node, name: &str| root.get("provider").is_some_and(|table| table.get(name).is_some());
        // Secret and scopes belong to the Space's app and to no other.
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

    /// A session secret derived from the client secret, so that a Space needs none of its own.
    /// The client secret is random, long enough, and known to this Space only; hashing keeps
    /// the two independent. All replicas derive the same secret, also after a restart.
    pub(super) fn session_secret(&self) -> Option<Secret> {
        let client =
            self.client_secret.as_ref().filter(|secret| secret.expose().len() >= MIN_CLIENT_SECRET)?;
        let mut input = b"huggate space session v1".to_vec();
        input.extend_from_slice(client.expose().as_bytes());
        let derived = SecretString::new(STANDARD.encode(sha256(&input)));
        zeroize::Zeroize::zeroize(&mut input);
        Secret::parse(derived.expose()).ok()
    }

    /// The scopes of the Space's app; it always has the first two.
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

    /// The place for problems of the scopes.
    pub(super) fn place() -> Place {
        Place::Variable("OAUTH_SCOPES".to_owned())
    }
}

/// The host on hf.space, if there are several (a Space can have a custom domain): the provider
/// accepts the callback only there.
fn own_host(hosts: &str) -> Option<&str> {
    let mut hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty());
    let first = hosts.clone().next();
    hosts.find(|host| host.ends_with(".hf.space")).or(first)
}
