//! Which server is the master, as sentinels know it.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use redis::Value;

use super::connector::{Connector, Link};
use super::endpoint::Endpoint;
use super::failure::Failure;

/// Sentinels, and their name of the master.
pub(super) struct Sentinels {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) master: String,
    /// With the users of the sentinels.
    pub(super) connector: Connector,
}

impl Sentinels {
    /// A connection to the master. All sentinels are asked at once, so that one that does
    /// not answer costs nothing; the server that one names must say itself that it is a
    /// master, since a sentinel may not know yet of a failover.
    pub(super) async fn open_master(&self, servers: &Connector) -> Result<Link, Failure> {
        let mut answers: FuturesUnordered<_> =
            self.endpoints.iter().map(|sentinel| self.ask(sentinel)).collect();
        let mut failure = Failure::Topology("no sentinel is named".to_owned());
        let mut tried = Vec::new();
        while let Some(answer) = answers.next().await {
            let master = match answer {
                Ok(master) if tried.contains(&master) => continue,
                Ok(master) => master,
                Err(error) => {
                    failure = error;
                    continue;
                }
            };
            match open_as_master(servers, &master).await {
                Ok(link) => return Ok(link),
                Err(error) => failure = error,
            }
            tried.push(master);
        }
        Err(failure)
    }

    async fn ask(&self, sentinel: &Endpoint) -> Result<Endpoint, Failure> {
        let link = self.connector.open(sentinel).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.master);
        let limit = self.connector.limit;
        let answer = tokio::time::timeout(limit, link.ask(command)).await;
        match answer.unwrap_or_else(|_| Err(Failure::Timeout(sentinel.clone(), limit)))? {
            Value::Nil => Err(Failure::Topology(format!(
                "the sentinel {sentinel} knows no master {:?}: check `master`",
                self.master
            ))),
            Value::Array(parts) => match parts.as_slice() {
                [Value::BulkString(host), Value::BulkString(port)] => {
                    let port = std::str::from_utf8(port).ok().and_then(|port| port.parse().ok());
                    let host = std::str::from_utf8(host).ok();
                    let found = host.zip(port).map(|(host, port)| Endpoint::new(host, port));
                    found.ok_or_else(|| Failure::Unexpected(sentinel.clone(), "SENTINEL"))
                }
                _ => Err(Failure::Unexpected(sentinel.clone(), "SENTINEL")),
            },
            _ => Err(Failure::Unexpected(sentinel.clone(), "SENTINEL")),
        }
    }
}

async fn open_as_master(servers: &Connector, master: &Endpoint) -> Result<Link, Failure> {
    let link = servers.open(master).await?;
    let answer = tokio::time::timeout(servers.limit, link.ask(redis::cmd("ROLE"))).await;
    let answer = answer.unwrap_or_else(|_| Err(Failure::Timeout(master.clone(), servers.limit)))?;
    let role = match &answer {
        Value::Array(parts) => parts.first(),
        _ => None,
    };
    match role {
        Some(Value::BulkString(role)) if role == b"master" => Ok(link),
        _ => Err(Failure::Topology(format!(
            "the sentinels name {master} as master, and it is a replica: a failover is under way"
        ))),
    }
}
