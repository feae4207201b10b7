//! What other gates change, by publish and subscribe.

use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{interval, timeout};

use super::command::Message;
use super::failure::Failure;
use super::names::Names;
use super::servers::Servers;
use crate::session::store::notice::Notices;

/// How often the server is asked whether it is there, and how long it may take. A
/// connection that is half-open gives no other sign.
const PING: Duration = Duration::from_secs(1);
const PING_LIMIT: Duration = Duration::from_secs(2);

/// Tells `notices` what is published, until the connection breaks.
pub(super) async fn watch(servers: &Servers, names: &Names, notices: &Notices) -> Failure {
    match subscribed(servers, names, notices).await {
        Ok(failure) | Err(failure) => failure,
    }
}

async fn subscribed(servers: &Servers, names: &Names, notices: &Notices) -> Result<Failure, Failure> {
    let (endpoint, pubsub) = servers.open_pubsub().await?;
    let (mut sink, mut messages) = pubsub.split();
    let late = |_| Failure::Timeout(endpoint.clone(), PING_LIMIT);
    let broken = |error| Failure::Broken(endpoint.clone(), error);
    timeout(PING_LIMIT, sink.subscribe(names.channel())).await.map_err(late)?.map_err(broken)?;
    notices.missed();
    let mut ticks = interval(PING);
    loop {
        tokio::select! {
            message = messages.next() => match message {
                Some(message) => tell(notices, message.get_payload_bytes()),
                None => return Ok(Failure::Topology(format!("{endpoint} closed the subscription"))),
            },
            _ = ticks.tick() => {
                let pong = timeout(PING_LIMIT, sink.ping::<redis::Value>()).await;
                pong.map_err(late)?.map_err(broken)?;
                if servers.has_left(&endpoint).await {
                    return Ok(Failure::Topology(format!("{endpoint} is no master any more")));
                }
            }
        }
    }
}

fn tell(notices: &Notices, payload: &[u8]) {
    match Message::decode(payload) {
        Some(Message::Ended(key)) => notices.ended(key),
        Some(Message::Changed(key, revision)) => notices.changed(key, revision),
        // Something has changed, and only a newer version knows what.
        None => notices.missed(),
    }
}
