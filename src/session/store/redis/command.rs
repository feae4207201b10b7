//! Commands for one key.

use redis::Cmd;

use super::names::{Names, SLACK, ttl_millis};
use super::record;
use super::scripts::{self, Script};
use crate::clock::UnixTime;
use crate::session::store::identifier::{Revision, SessionKey};
use crate::session::store::stored::SessionRecord;

/// The largest whole number that a score holds exactly.
const LARGEST_SCORE: u64 = 1 << 53;

/// A command that reads or changes one key.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) key: Vec<u8>,
    call: Call,
    arguments: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
enum Call {
    Plain(&'static str),
    Script(&'static Script),
}

fn text(number: u64) -> Vec<u8> {
    number.to_string().into_bytes()
}

impl Command {
    fn plain(name: &'static str, key: Vec<u8>, arguments: Vec<Vec<u8>>) -> Self {
        Self { key, call: Call::Plain(name), arguments }
    }

    fn script(script: &'static Script, key: Vec<u8>, arguments: Vec<Vec<u8>>) -> Self {
        Self { key, call: Call::Script(script), arguments }
    }

    /// The command as it is sent; a script by its hash, or with its text.
    pub(super) fn packed(&self, with_text: bool) -> Cmd {
        let mut command = match self.call {
            Call::Plain(name) => {
                let mut command = redis::cmd(name);
                command.arg(&self.key);
                command
            }
            Call::Script(script) => {
                let (name, text) =
                    if with_text { ("EVAL", &script.source) } else { ("EVALSHA", &script.hash) };
                let mut command = redis::cmd(name);
                command.arg(text).arg(1).arg(&self.key);
                command
            }
        };
        for argument in &self.arguments {
            command.arg(argument);
        }
        command
    }

    pub(super) fn get(key: Vec<u8>) -> Self {
        Self::plain("GET", key, Vec::new())
    }

    /// All members of an index.
    pub(super) fn members(index: Vec<u8>) -> Self {
        Self::plain("ZRANGE", index, vec![b"0".to_vec(), b"-1".to_vec()])
    }

    pub(super) fn unlist(index: Vec<u8>, keys: &[SessionKey]) -> Self {
        Self::plain("ZREM", index, keys.iter().map(|key| key.as_bytes().to_vec()).collect())
    }

    /// Adds a session to an index, or raises its expiry there.
    pub(super) fn index(index: Vec<u8>, key: SessionKey, expires: UnixTime, now: UnixTime) -> Self {
        let arguments = vec![
            key.as_bytes().to_vec(),
            text(expires.min(LARGEST_SCORE)),
            text(ttl_millis(expires, now)),
            text(now.saturating_sub(SLACK)),
        ];
        Self::script(&scripts::INDEX, index, arguments)
    }

    pub(super) fn create(names: &Names, key: SessionKey, record: &SessionRecord, now: UnixTime) -> Self {
        let arguments = vec![
            record::encode(Revision::FIRST, record),
            record::number(now).to_vec(),
            text(ttl_millis(record.expires, now)),
        ];
        Self::script(&scripts::CREATE, names.session(key), arguments)
    }

    pub(super) fn update(
        names: &Names,
        key: SessionKey,
        expected: Revision,
        record: &SessionRecord,
        now: UnixTime,
    ) -> Self {
        let mut start = vec![record::VERSION];
        start.extend(expected.next().number().to_be_bytes());
        let arguments = vec![
            start,
            record::tail(record),
            expected.number().to_be_bytes().to_vec(),
            record::number(record.last_used).to_vec(),
            record::number(record.expires).to_vec(),
            record::number(now).to_vec(),
            text(ttl_millis(record.expires, now)),
            names.channel(),
            Message::Changed(key, expected.next()).encode(),
        ];
        Self::script(&scripts::UPDATE, names.session(key), arguments)
    }

    pub(super) fn touch(
        names: &Names,
        key: SessionKey,
        last_used: UnixTime,
        expires: UnixTime,
        now: UnixTime,
    ) -> Self {
        let arguments = vec![
            record::number(last_used).to_vec(),
            record::number(expires).to_vec(),
            record::number(now).to_vec(),
            text(ttl_millis(expires, now)),
        ];
        Self::script(&scripts::TOUCH, names.session(key), arguments)
    }

    pub(super) fn end(names: &Names, key: SessionKey) -> Self {
        let arguments = vec![names.channel(), Message::Ended(key).encode()];
        Self::script(&scripts::END, names.session(key), arguments)
    }
}

/// What is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    Ended(SessionKey),
    Changed(SessionKey, Revision),
}

impl Message {
    fn encode(self) -> Vec<u8> {
        let (kind, key, revision) = match self {
            Self::Ended(key) => (b'e', key, None),
            Self::Changed(key, revision) => (b'c', key, Some(revision)),
        };
        let mut bytes = vec![kind];
        bytes.extend(key.as_bytes());
        bytes.extend(revision.iter().flat_map(|revision| revision.number().to_be_bytes()));
        bytes
    }

    /// The inverse; `None` for what this version does not know. What follows is skipped.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (key, rest) = rest.split_first_chunk::<16>()?;
        let key = SessionKey::from_bytes(*key);
        match kind {
            b'e' => Some(Self::Ended(key)),
            b'c' => {
                let (revision, _) = rest.split_first_chunk::<8>()?;
                Some(Self::Changed(key, Revision::from_number(u64::from_be_bytes(*revision))))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_decoded_as_they_were_and_nothing_else_is() {
        let key = SessionKey::from_bytes([9; 16]);
        for message in [Message::Ended(key), Message::Changed(key, Revision::from_number(3))] {
            let mut bytes = message.encode();
            assert_eq!(Message::decode(&bytes), Some(message));
            bytes.extend(b"more");
            assert_eq!(Message::decode(&bytes), Some(message));
            assert_eq!(Message::decode(&bytes[..10]), None);
        }
        assert_eq!(Message::decode(b""), None);
        assert_eq!(Message::decode(&[b'x'; 30]), None);
    }
}
