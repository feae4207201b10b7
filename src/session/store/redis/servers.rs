//! The servers of a store, whatever their number.

use std::sync::Arc;

use redis::Value;
use redis::aio::PubSub;

use super::channel::{Channel, Target};
use super::cluster::{Cluster, exchange};
use super::command::Command;
use super::connector::{Connector, tls_connector};
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::parsed::Parsed;
use super::sentinel::Sentinels;
use super::settings::{RedisMode, RedisSettings, RedisSettingsError};
use super::tls;
use crate::keys::random;

pub(super) struct Servers {
    connector: Arc<Connector>,
    set: Set,
}

enum Set {
    One(Arc<Channel>),
    Cluster(Arc<Cluster>),
}

/// A reply, and the server that gave it.
pub(super) struct Reply {
    pub(super) from: Endpoint,
    pub(super) value: Value,
}

impl Reply {
    /// The reply is not one that the command can have.
    pub(super) fn unexpected(self, command: &'static str) -> Failure {
        Failure::Unexpected(self.from, command)
    }
}

impl Servers {
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, RedisSettingsError> {
        let Parsed { has_tls, endpoints, credentials, sentinel_credentials, database } =
            Parsed::of(settings)?;
        let tls = match has_tls {
            true => Some(tls_connector(tls::client_config(settings)?)),
            false => match tls::unused(settings) {
                Some(error) => return Err(error),
                None => None,
            },
        };
        let limit = settings.timeout * 2;
        let connector = Arc::new(Connector { tls: tls.clone(), credentials, database, limit });
        let one = |target| Set::One(Channel::new(target, Arc::clone(&connector), settings.timeout));
        let set = match settings.mode {
            RedisMode::Cluster => {
                Set::Cluster(Cluster::new(endpoints, Arc::clone(&connector), settings.timeout))
            }
            RedisMode::Sentinel => {
                let sentinels = Connector { tls, credentials: sentinel_credentials, database: 0, limit };
                let master = settings.master.clone();
                one(Target::Master(Sentinels { endpoints, master, connector: sentinels }))
            }
            RedisMode::Single => {
                let missing = || RedisSettingsError::new("url", "names no host");
                one(Target::Server(endpoints.into_iter().next().ok_or_else(missing)?))
            }
        };
        Ok(Self { connector, set })
    }

    /// The replies to the commands, in order; the first error of a server is the failure.
    pub(super) async fn call(&self, commands: &[Command]) -> Result<Vec<Reply>, Failure> {
        let replies: Vec<(Endpoint, Value)> = match &self.set {
            Set::One(channel) => {
                let commands: Vec<&Command> = commands.iter().collect();
                let (from, replies) = exchange(channel, &commands, false).await?;
                replies.into_iter().map(|reply| (from.clone(), reply)).collect()
            }
            Set::Cluster(cluster) => cluster.call(commands).await?,
        };
        let checked = replies.into_iter().map(|(from, value)| match value {
            Value::ServerError(error) => Err(Failure::Server(from, error)),
            value => Ok(Reply { from, value }),
        });
        checked.collect()
    }

    /// The reply to `last`, which runs after `first`: in one round trip at one server. The
    /// nodes of a cluster know of no order, so that there it takes two.
    pub(super) async fn call_then(&self, first: &[Command], last: Command) -> Result<Reply, Failure> {
        match &self.set {
            Set::Cluster(_) => {
                self.call(first).await?;
                self.ask(last).await
            }
            Set::One(_) => {
                let mut commands = first.to_vec();
                commands.push(last);
                let last = self.call(&commands).await?.pop();
                last.ok_or_else(|| Failure::Topology("a command has no reply".to_owned()))
            }
        }
    }

    /// The reply to one command.
    pub(super) async fn ask(&self, command: Command) -> Result<Reply, Failure> {
        let replies = self.call(&[command]).await?;
        replies.into_iter().next().ok_or_else(|| Failure::Topology("a command has no reply".to_owned()))
    }

    /// A connection for subscriptions, to the server or any node: a cluster tells all nodes
    /// what is published at one.
    pub(super) async fn open_pubsub(&self) -> Result<(Endpoint, PubSub), Failure> {
        let mut endpoints = match &self.set {
            Set::One(channel) => vec![channel.locate().await?],
            Set::Cluster(cluster) => cluster.masters().await?,
        };
        let [byte] = random();
        let first = usize::from(byte) % endpoints.len().max(1);
        endpoints.rotate_left(first);
        let mut failure = Failure::Topology("no node of the cluster is known".to_owned());
        for endpoint in endpoints {
            match self.connector.open_pubsub(&endpoint).await {
                Ok(pubsub) => return Ok((endpoint, pubsub)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// Whether changes are published elsewhere by now: there is another master, or the node
    /// has left the cluster.
    pub(super) async fn has_left(&self, endpoint: &Endpoint) -> bool {
        match &self.set {
            Set::One(channel) => channel.current().is_some_and(|current| current != *endpoint),
            Set::Cluster(cluster) => cluster.masters().await.is_ok_and(|masters| !masters.contains(endpoint)),
        }
    }
}
