//! `huggate check --online`: what the configuration refers to, asked over the network.
//!
//! Sessions in the browser, or in the memory of the process that serves, are in no store that
//! can be asked.

use huggate::Gate;
use huggate::session::{SessionAdminError, SessionFilter};
use huggate::store::SessionKey;
use huggate::upstream::{UpstreamSettings, UpstreamUrl};

use super::failure::with_causes;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// Subjects and what is known of them.
    pub(super) rows: Vec<(&'static str, String)>,
    /// The app may start later, so an app that is down is only a warning.
    pub(super) warnings: Vec<String>,
    /// Whether nobody can sign in.
    pub(super) unusable: bool,
}

/// Asks the provider for its metadata and keys, and the apps for a connection.
/// `endpoints` is the URL that the gate's own endpoints are below.
pub(super) async fn ask(
    gate: &Gate,
    (issuer, endpoints): (&str, &str),
    upstream: &UpstreamSettings,
) -> Findings {
    let mut findings = Findings::default();
    ask_provider(gate, issuer, &mut findings).await;
    ask_about_logouts(gate, endpoints, &mut findings).await;
    ask_store(gate, &mut findings).await;
    for url in urls(upstream) {
        match url.try_connection(upstream.connect_timeout).await {
            Ok(()) => findings.rows.push(("app", format!("{url} accepts connections"))),
            Err(error) => findings.warnings.push(format!(
                "{url} does not accept connections: {}; start the app, or correct `upstream`",
                error.kind()
            )),
        }
    }
    findings
}

async fn ask_provider(gate: &Gate, issuer: &str, findings: &mut Findings) {
    let (subject, unusable) = match gate.discover().await {
        Err(unusable) => ("provider", unusable),
        Ok(()) => {
            findings.rows.push(("provider", format!("{issuer} is reachable")));
            match gate.count_provider_keys().await {
                Ok(count) => {
                    let keys = if count == 1 { "key" } else { "keys" };
                    return findings.rows.push(("keys", format!("{count} {keys} to verify ID tokens with")));
                }
                Err(unusable) => ("keys", unusable),
            }
        }
    };
    findings.unusable = true;
    let why = with_causes(&unusable);
    findings.rows.push((subject, format!("{issuer} cannot be used: {why}; {}", unusable.advice())));
}

/// Adds the URLs to register at a provider that has logouts, and a warning if a logout would
/// not reach every session.
async fn ask_about_logouts(gate: &Gate, endpoints: &str, findings: &mut Findings) {
    // A provider that does not answer is in the findings already.
    let Ok(support) = gate.logout_support().await else { return };
    if support.end_session {
        let what = format!("{endpoints}/signed_out (register it as post-logout redirect URI)");
        findings.rows.push(("sign-out URL", what));
    }
    if support.backchannel {
        let what = format!("{endpoints}/backchannel_logout (register it as back-channel logout URI)");
        findings.rows.push(("logout URL", what));
        if !gate.session_admin().is_shared() {
            findings.warnings.push(
                "a back-channel logout fails, and ends sessions only in the process that receives it, until it \
                 restarts; set session.revocations, or a session.store other than \"cookie\""
                    .to_owned(),
            );
        }
    }
}

/// Asks the store for a session that does not exist.
async fn ask_store(gate: &Gate, findings: &mut Findings) {
    let nobody = SessionFilter::Id(SessionKey::from_bytes([0; 16]));
    match gate.session_admin().count(&nobody).await {
        Ok(_) => findings.rows.push(("store", "the session store answers".to_owned())),
        Err(SessionAdminError::Store(error)) => {
            findings.unusable = true;
            let why = with_causes(&error);
            findings.rows.push(("store", format!("{why}; correct session.store, or start the store")));
        }
        // Sessions in cookies.
        Err(_) => {}
    }
}

/// Every address of an app, once.
fn urls(upstream: &UpstreamSettings) -> Vec<&UpstreamUrl> {
    let mut urls = Vec::new();
    let of_routes = upstream.routes.iter().flatten();
    for url in std::iter::once(&upstream.default).chain(of_routes).flat_map(|target| &target.urls) {
        if !urls.contains(&url) {
            urls.push(url);
        }
    }
    urls
}
