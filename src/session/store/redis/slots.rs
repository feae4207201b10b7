//! Which node of a cluster has which key (the Redis cluster specification, "Key distribution
//! model").

use redis::Value;

use super::endpoint::Endpoint;

/// The number of slots that keys are hashed to.
pub(super) const SLOTS: u16 = 16384;
const NOBODY: u16 = u16::MAX;

/// The slot of a key: CRC-16/XMODEM of it, or of its hash tag.
pub(super) fn slot_of(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS
}

/// What is between the first `{` and the next `}`, if that is not empty.
fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let start = memchr::memchr(b'{', key)? + 1;
    let rest = key.get(start..)?;
    let end = memchr::memchr(b'}', rest)?;
    rest.get(..end).filter(|tag| !tag.is_empty())
}

fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

/// The masters of a cluster, and the slots of each.
#[derive(Debug, Clone)]
pub(super) struct SlotMap {
    masters: Vec<Endpoint>,
    /// For each slot, the place of its master.
    owners: Vec<u16>,
}

impl SlotMap {
    /// The answer of `asked` to `CLUSTER SLOTS`; `None` if it is none, or names no master.
    pub(super) fn parse(answer: &Value, asked: &Endpoint) -> Option<Self> {
        let Value::Array(ranges) = answer else { return None };
        let mut map = Self { masters: Vec::new(), owners: vec![NOBODY; usize::from(SLOTS)] };
        for range in ranges {
            let Value::Array(parts) = range else { return None };
            let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice() else {
                return None;
            };
            let (first, last) = (usize::try_from(*first).ok()?, usize::try_from(*last).ok()?);
            let master = map.place(node(master, asked)?)?;
            map.owners.get_mut(first..=last)?.fill(master);
        }
        (!map.masters.is_empty()).then_some(map)
    }

    pub(super) fn masters(&self) -> &[Endpoint] {
        &self.masters
    }

    pub(super) fn owner(&self, slot: u16) -> Option<&Endpoint> {
        self.masters.get(usize::from(*self.owners.get(usize::from(slot))?))
    }

    /// The map after a slot has moved.
    pub(super) fn moved(&self, slot: u16, to: &Endpoint) -> Option<Self> {
        let mut map = self.clone();
        let place = map.place(to.clone())?;
        *map.owners.get_mut(usize::from(slot))? = place;
        Some(map)
    }

    fn place(&mut self, master: Endpoint) -> Option<u16> {
        let place = self.masters.iter().position(|known| *known == master).unwrap_or_else(|| {
            self.masters.push(master);
            self.masters.len() - 1
        });
        u16::try_from(place).ok().filter(|place| *place < NOBODY)
    }
}

/// A node without a host, or with `?`, is the one that was asked.
fn node(parts: &[Value], asked: &Endpoint) -> Option<Endpoint> {
    let [host, Value::Int(port), ..] = parts else { return None };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        Value::SimpleString(host) => host,
        Value::Nil => "",
        _ => return None,
    };
    let host = if matches!(host, "" | "?") { asked.host.as_str() } else { host };
    Some(Endpoint::new(host, u16::try_from(*port).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    /// The examples of the specification.
    #[test]
    fn keys_are_hashed_as_the_specification_has_it() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot_of(b"{user1000}.following"), slot_of(b"{user1000}.followers"));
        assert_eq!(slot_of(b"foo{}{bar}"), crc16(b"foo{}{bar}") % SLOTS);
        assert_eq!(slot_of(b"foo{{bar}}zap"), crc16(b"{bar") % SLOTS);
        assert_eq!(slot_of(b"foo{bar}{zap}"), crc16(b"bar") % SLOTS);
        assert_eq!(slot_of(b"open{"), crc16(b"open{") % SLOTS);
    }

    #[test]
    fn an_answer_is_a_map_of_slots() {
        let range = |first, last, host: Value, port| {
            Value::Array(vec![
                Value::Int(first),
                Value::Int(last),
                Value::Array(vec![host, Value::Int(port), bulk("id")]),
            ])
        };
        let asked = Endpoint::new("10.0.0.9", 7000);
        let answer =
            Value::Array(vec![range(0, 99, bulk("10.0.0.1"), 7001), range(100, 16383, Value::Nil, 7002)]);
        let map = SlotMap::parse(&answer, &asked).unwrap();
        assert_eq!(map.owner(99), Some(&Endpoint::new("10.0.0.1", 7001)));
        assert_eq!(map.owner(100), Some(&Endpoint::new("10.0.0.9", 7002)));
        let to = Endpoint::new("10.0.0.3", 7003);
        let map = map.moved(100, &to).unwrap();
        assert_eq!((map.owner(100), map.owner(101).unwrap().port), (Some(&to), 7002));
        assert_eq!(map.masters().len(), 3);
    }

    #[test]
    fn other_answers_are_none() {
        let asked = Endpoint::new("10.0.0.9", 7000);
        let range = |first, last, port| {
            let node = Value::Array(vec![bulk("10.0.0.1"), Value::Int(port)]);
            Value::Array(vec![Value::Array(vec![Value::Int(first), Value::Int(last), node])])
        };
        for answer in [
            Value::Nil,
            Value::Array(Vec::new()),
            Value::Array(vec![Value::Nil]),
            range(0, 16384, 1),
            range(-1, 5, 1),
            range(5, 1, 1),
            range(0, 1, 70000),
        ] {
            assert!(SlotMap::parse(&answer, &asked).is_none(), "{answer:?}");
        }
    }
}
