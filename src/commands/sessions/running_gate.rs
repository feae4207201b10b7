//! Asks the admin listener of the process that serves.

use std::time::Duration;

use huggate::config::AdminSettings;
use huggate::session::SessionFilter;
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value;

use crate::commands::failure::{Failure, with_causes};

/// How long an answer may take to begin or to go on. A long list takes longer as a whole.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The admin listener.
pub(super) struct RunningGate {
    settings: AdminSettings,
    client: Client,
}

impl RunningGate {
    pub(super) fn new(settings: AdminSettings) -> Result<Self, Failure> {
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(TIMEOUT)
            .read_timeout(TIMEOUT)
            .build()
            .map_err(|error| Failure::run(&error))?;
        Ok(Self { settings, client })
    }

    /// The sessions, as the listener describes them.
    pub(super) async fn list(&self, filter: &SessionFilter) -> Result<Vec<Value>, Failure> {
        let mut answer = self.ask(Method::GET, filter).await?;
        match answer.get_mut("sessions").map(Value::take) {
            Some(Value::Array(sessions)) => Ok(sessions),
            _ => Err(self.unexpected("an answer without sessions")),
        }
    }

    /// What a revocation did, as the listener says it.
    pub(super) async fn revoke(&self, filter: &SessionFilter) -> Result<Value, Failure> {
        self.ask(Method::DELETE, filter).await
    }

    async fn ask(&self, method: Method, filter: &SessionFilter) -> Result<Value, Failure> {
        let url = self.url(filter);
        let url = url.ok_or_else(|| self.unexpected("an address that is none"))?;
        let mut request = self.client.request(method, url);
        if let Some(authorization) = self.settings.authorization() {
            request = request.header("authorization", authorization);
        }
        let response = request.send().await.map_err(|error| {
            let why = with_causes(&error);
            let listen = self.settings.listen;
            Failure::Run(format!("the admin listener of the gate, {listen}, cannot be reached: {why}"))
        })?;
        let status = response.status();
        let body = response.text().await.map_err(|error| Failure::run(&error))?;
        let document: Value = serde_json::from_str(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(document);
        }
        let why = document.get("error_description").and_then(Value::as_str).unwrap_or("no reason given");
        Err(match status {
            StatusCode::NOT_IMPLEMENTED => Failure::Configuration(why.to_owned()),
            status => self.unexpected(&format!("{status}: {why}")),
        })
    }

    fn url(&self, filter: &SessionFilter) -> Option<Url> {
        let mut listen = self.settings.listen;
        if listen.ip().is_unspecified() {
            listen.set_ip(match listen.ip() {
                std::net::IpAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                std::net::IpAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        let mut url = Url::parse(&format!("http://{listen}/sessions")).ok()?;
        let parameter = match filter {
            SessionFilter::Person(person) | SessionFilter::Account(person) => ("user", person.clone()),
            SessionFilter::Id(id) => ("id", id.to_string()),
            _ => ("all", "true".to_owned()),
        };
        url.query_pairs_mut().append_pair(parameter.0, &parameter.1);
        Some(url)
    }

    fn unexpected(&self, what: &str) -> Failure {
        Failure::Run(format!("the admin listener of the gate, {}, gave {what}", self.settings.listen))
    }
}
