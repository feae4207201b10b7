//! The nodes of a cluster.
//!
//! A command goes to the node that has its key's slot. A node that does not have it says
//! which one does, for good (`MOVED`) or for this command while the slot is moved (`ASK`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use redis::{ServerError, Value};
use tokio::time::{sleep, timeout};

use super::channel::{Channel, Target};
use super::command::Command;
use super::connector::Connector;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::slots::{SlotMap, slot_of};

/// How often a command is sent on before it fails.
const REDIRECTS: usize = 8;
/// The pause before a command is tried again whose keys are being moved.
const TRY_AGAIN: Duration = Duration::from_millis(10);

pub(super) struct Cluster {
    seeds: Vec<Endpoint>,
    connector: Arc<Connector>,
    limit: Duration,
    channels: Mutex<HashMap<Endpoint, Arc<Channel>>>,
    slots: ArcSwapOption<SlotMap>,
    /// One task at a time asks for the slots.
    asking: tokio::sync::Mutex<()>,
    is_refreshing: AtomicBool,
}

/// Where a reply sends a command.
enum Redirect {
    Moved(u16, Endpoint),
    Ask(Endpoint),
    TryAgain,
}

impl Cluster {
    pub(super) fn new(seeds: Vec<Endpoint>, connector: Arc<Connector>, limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            seeds,
            connector,
            limit,
            channels: Mutex::default(),
            slots: ArcSwapOption::empty(),
            asking: tokio::sync::Mutex::default(),
            is_refreshing: AtomicBool::new(false),
        })
    }

    fn channel(&self, endpoint: &Endpoint) -> Arc<Channel> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || Channel::new(Target::Server(endpoint.clone()), Arc::clone(&self.connector), self.limit);
        Arc::clone(channels.entry(endpoint.clone()).or_insert_with(open))
    }

    /// The replies to the commands, in order. Those for one node are one round trip, and the
    /// nodes are asked at once.
    pub(super) async fn call(
        self: &Arc<Self>,
        commands: &[Command],
    ) -> Result<Vec<(Endpoint, Value)>, Failure> {
        // Connecting, and one command, whatever the number of nodes that are asked.
        let limit = self.connector.limit + self.limit;
        timeout(limit, self.sent(commands)).await.unwrap_or_else(|_| {
            let problem = format!("the cluster did not answer within {} ms", limit.as_millis());
            Err(Failure::Topology(problem))
        })
    }

    async fn sent(self: &Arc<Self>, commands: &[Command]) -> Result<Vec<(Endpoint, Value)>, Failure> {
        let slots = match self.slots.load_full() {
            Some(slots) => slots,
            None => self.refresh(None).await?,
        };
        let mut groups: HashMap<Endpoint, Vec<usize>> = HashMap::new();
        for (index, command) in commands.iter().enumerate() {
            let owner = slots.owner(slot_of(&command.key)).ok_or_else(|| {
                self.refresh_soon();
                Failure::Topology("no node of the cluster has the key's slot".to_owned())
            })?;
            groups.entry(owner.clone()).or_default().push(index);
        }
        let sent = groups.iter().map(|(endpoint, indices)| self.group(endpoint, indices, commands));
        let mut replies: Vec<Option<(Endpoint, Value)>> = vec![None; commands.len()];
        for group in join_all(sent).await {
            for (index, reply) in group? {
                if let Some(place) = replies.get_mut(index) {
                    *place = Some(reply);
                }
            }
        }
        // Each command is in one group.
        Ok(replies.into_iter().flatten().collect())
    }

    /// The replies to those commands that one node has.
    async fn group(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        indices: &[usize],
        commands: &[Command],
    ) -> Result<Vec<(usize, (Endpoint, Value))>, Failure> {
        let commands: Vec<&Command> = indices.iter().filter_map(|index| commands.get(*index)).collect();
        let replies = self.send(endpoint, &commands, false).await?;
        let mut followed = Vec::with_capacity(indices.len());
        for ((index, command), reply) in indices.iter().zip(commands).zip(replies) {
            followed.push((*index, self.follow(command, endpoint.clone(), reply).await?));
        }
        Ok(followed)
    }

    /// Sends a command on until a node has its key.
    async fn follow(
        self: &Arc<Self>,
        command: &Command,
        mut asked: Endpoint,
        mut reply: Value,
    ) -> Result<(Endpoint, Value), Failure> {
        for _ in 0..REDIRECTS {
            let Value::ServerError(error) = &reply else { return Ok((asked, reply)) };
            let mut is_asking = false;
            match redirect(error, &asked) {
                Some(Redirect::Moved(slot, to)) => {
                    self.learn(slot, &to);
                    asked = to;
                }
                Some(Redirect::Ask(to)) => {
                    asked = to;
                    is_asking = true;
                }
                Some(Redirect::TryAgain) => {
                    sleep(TRY_AGAIN).await;
                    // The node that is giving up the slot decides again.
                    let slots = self.slots.load_full();
                    let owner = slots.as_ref().and_then(|slots| slots.owner(slot_of(&command.key)));
                    asked = owner.cloned().unwrap_or(asked);
                }
                None => {
                    if matches!(error.code(), "CLUSTERDOWN" | "READONLY" | "MASTERDOWN") {
                        self.refresh_soon();
                    }
                    return Ok((asked, reply));
                }
            }
            let replies = self.send(&asked, &[command], is_asking).await?;
            reply =
                replies.into_iter().next().ok_or_else(|| Failure::Unexpected(asked.clone(), "a command"))?;
        }
        Ok((asked, reply))
    }

    async fn send(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        commands: &[&Command],
        is_asking: bool,
    ) -> Result<Vec<Value>, Failure> {
        let sent = exchange(&self.channel(endpoint), commands, is_asking).await;
        // Its slots may have another master by now.
        sent.inspect_err(|_| self.refresh_soon()).map(|(_, replies)| replies)
    }

    fn learn(self: &Arc<Self>, slot: u16, to: &Endpoint) {
        self.slots.rcu(|slots| {
            slots.as_ref().map(|slots| slots.moved(slot, to).map_or_else(|| Arc::clone(slots), Arc::new))
        });
        self.refresh_soon();
    }

    /// Asks for the slots in a task, unless one is about to.
    fn refresh_soon(self: &Arc<Self>) {
        if self.is_refreshing.swap(true, Ordering::AcqRel) {
            return;
        }
        let cluster = Arc::clone(self);
        tokio::spawn(async move {
            // Slots move in series; this also keeps a node that is down from being asked
            // without a pause.
            sleep(Duration::from_millis(50)).await;
            // Reset first: what is found out from now on may be newer than the answer.
            cluster.is_refreshing.store(false, Ordering::Release);
            let seen = cluster.slots.load_full();
            if let Err(failure) = cluster.refresh(seen).await {
                tracing::debug!(reason = %failure, "no node tells the slots of the cluster");
            }
        });
    }

    /// The slots after `seen`: asks all nodes that are known, and takes the first answer.
    async fn refresh(&self, seen: Option<Arc<SlotMap>>) -> Result<Arc<SlotMap>, Failure> {
        let _one_at_a_time = self.asking.lock().await;
        if let Some(slots) =
            self.slots.load_full().filter(|slots| seen.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, slots)))
        {
            return Ok(slots);
        }
        let mut nodes = seen.map_or_else(Vec::new, |slots| slots.masters().to_vec());
        for seed in &self.seeds {
            if !nodes.contains(seed) {
                nodes.push(seed.clone());
            }
        }
        let mut answers: FuturesUnordered<_> = nodes.into_iter().map(|node| self.ask(node)).collect();
        let mut failure = Failure::Topology("no node of the cluster is named".to_owned());
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(slots) => {
                    let slots = Arc::new(slots);
                    self.slots.store(Some(Arc::clone(&slots)));
                    self.forget_others(&slots);
                    return Ok(slots);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn ask(&self, node: Endpoint) -> Result<SlotMap, Failure> {
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let (node, replies) = self.channel(&node).send(vec![command]).await?;
        match replies.into_iter().next() {
            Some(Value::ServerError(error)) => Err(Failure::Server(node, error)),
            Some(answer) => SlotMap::parse(&answer, &node).ok_or_else(|| {
                Failure::Topology(format!("{node} knows no slots: it has not joined a cluster"))
            }),
            None => Err(Failure::Unexpected(node, "CLUSTER SLOTS")),
        }
    }

    /// Closes connections to nodes that are no masters.
    fn forget_others(&self, slots: &SlotMap) {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.retain(|endpoint, _| slots.masters().contains(endpoint) || self.seeds.contains(endpoint));
    }

    /// The masters, as far as they are known now.
    pub(super) async fn masters(&self) -> Result<Vec<Endpoint>, Failure> {
        let slots = match self.slots.load_full() {
            Some(slots) => slots,
            None => self.refresh(None).await?,
        };
        Ok(slots.masters().to_vec())
    }
}

fn redirect(error: &ServerError, asked: &Endpoint) -> Option<Redirect> {
    let (code, details) = (error.code(), error.details().unwrap_or_default());
    if code == "TRYAGAIN" {
        return Some(Redirect::TryAgain);
    }
    if !matches!(code, "MOVED" | "ASK") {
        return None;
    }
    let (slot, address) = details.split_once(' ')?;
    let (host, port) = address.trim().rsplit_once(':')?;
    let host = if host.is_empty() { asked.host.as_str() } else { host };
    let to = Endpoint::new(host, port.parse().ok()?);
    match code {
        "ASK" => Some(Redirect::Ask(to)),
        _ => Some(Redirect::Moved(slot.parse().ok()?, to)),
    }
}

/// One round trip, and a second one if the server does not have a script yet. `ASKING` holds
/// for the next command alone, so it goes out together with it.
pub(super) async fn exchange(
    channel: &Arc<Channel>,
    commands: &[&Command],
    is_asking: bool,
) -> Result<(Endpoint, Vec<Value>), Failure> {
    let packed = |command: &&Command, with_text| {
        let asking = is_asking.then(|| redis::cmd("ASKING"));
        asking.into_iter().chain([command.packed(with_text)])
    };
    let every = if is_asking { 2 } else { 1 };
    let sent = commands.iter().flat_map(|command| packed(command, false)).collect();
    let (endpoint, replies) = channel.send(sent).await?;
    let mut replies: Vec<Value> = replies.into_iter().skip(every - 1).step_by(every).collect();
    let lacks = |reply: &Value| matches!(reply, Value::ServerError(error) if error.code() == "NOSCRIPT");
    let lacking: Vec<usize> =
        replies.iter().enumerate().filter(|(_, reply)| lacks(reply)).map(|(index, _)| index).collect();
    if lacking.is_empty() {
        return Ok((endpoint, replies));
    }
    let again = lacking.iter().filter_map(|index| commands.get(*index));
    let (endpoint, answers) = channel.send(again.flat_map(|command| packed(command, true)).collect()).await?;
    for (index, answer) in lacking.into_iter().zip(answers.into_iter().skip(every - 1).step_by(every)) {
        if let Some(reply) = replies.get_mut(index) {
            *reply = answer;
        }
    }
    Ok((endpoint, replies))
}
