//! A bounded map whose entries expire: codes, tokens, tickets.

use std::collections::{HashMap, VecDeque};

use crate::clock::UnixTime;

/// Values by key, each with an expiry; inserting into a full map evicts the oldest entry.
#[derive(Debug)]
pub(super) struct TtlMap<V> {
    /// Maximum number of entries.
    capacity: usize,
    /// Key → (expiry, value).
    values: HashMap<String, (UnixTime, V)>,
    /// Keys in insertion order; may contain removed ones.
    order: VecDeque<String>,
}

impl<V> TtlMap<V> {
    /// An empty map for at most `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, values: HashMap::new(), order: VecDeque::new() }
    }

    /// Inserts `value`, valid until `expires`.
    pub(super) fn put(&mut self, key: String, expires: UnixTime, value: V) {
        while self.order.len() >= self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.values.remove(&oldest);
            }
        }
        self.order.push_back(key.clone());
        self.values.insert(key, (expires, value));
    }

    /// The value, unless it is missing or expired.
    pub(super) fn find(&self, key: &str, now: UnixTime) -> Option<&V> {
        self.values.get(key).filter(|(expires, _)| now < *expires).map(|(_, value)| value)
    }

    /// The value and its expiry, even if expired.
    pub(super) fn find_mut(&mut self, key: &str) -> Option<(UnixTime, &mut V)> {
        self.values.get_mut(key).map(|(expires, value)| (*expires, value))
    }

    /// Removes and returns the value, unless it is expired: for single use.
    pub(super) fn take(&mut self, key: &str, now: UnixTime) -> Option<V> {
        self.values.remove(key).filter(|(expires, _)| now < *expires).map(|(_, value)| value)
    }

    /// Removes the value, if there is one.
    pub(super) fn remove(&mut self, key: &str) {
        self.values.remove(key);
    }

    /// The key of the first value that `matches`, even if expired.
    pub(super) fn key_of(&self, matches: impl Fn(&V) -> bool) -> Option<String> {
        self.values.iter().find(|(_, (_, value))| matches(value)).map(|(key, _)| key.clone())
    }

    /// Removes every value that is not to be `kept`.
    pub(super) fn retain(&mut self, kept: impl Fn(&V) -> bool) {
        self.values.retain(|_, (_, value)| kept(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_expires_and_is_removed_once() {
        let mut shelf = TtlMap::new(4);
        shelf.put("a".to_owned(), 10, 1);
        assert_eq!(shelf.find("a", 9), Some(&1));
        assert_eq!(shelf.find("a", 10), None);
        assert_eq!(shelf.take("a", 9), Some(1));
        assert_eq!(shelf.take("a", 9), None);
    }

    #[test]
    fn a_full_map_evicts_its_oldest_entry() {
        let mut shelf = TtlMap::new(2);
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            shelf.put(key.to_owned(), 10, value);
        }
        assert_eq!((shelf.find("a", 0), shelf.find("b", 0), shelf.find("c", 0)), (None, Some(&2), Some(&3)));
    }
}
