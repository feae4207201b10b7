//! A bounded place for things that expire: codes, tokens, tickets.

use std::collections::{HashMap, VecDeque};

use crate::clock::UnixTime;

/// Values by random key, each until its time; when full, the oldest goes.
#[derive(Debug)]
pub(super) struct TtlMap<V> {
    /// The most it holds.
    capacity: usize,
    /// Key → (the second it expires, value).
    values: HashMap<String, (UnixTime, V)>,
    /// Keys in order of arrival; may name what is already gone.
    order: VecDeque<String>,
}

impl<V> TtlMap<V> {
    /// An empty shelf for at most `capacity` values.
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, values: HashMap::new(), order: VecDeque::new() }
    }

    /// Puts `value` there until `expires`.
    pub(super) fn put(&mut self, key: String, expires: UnixTime, value: V) {
        while self.order.len() >= self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.values.remove(&oldest);
            }
        }
        self.order.push_back(key.clone());
        self.values.insert(key, (expires, value));
    }

    /// The value, unless it is gone or expired.
    pub(super) fn find(&self, key: &str, now: UnixTime) -> Option<&V> {
        self.values.get(key).filter(|(expires, _)| now < *expires).map(|(_, value)| value)
    }

    /// The value for changing, and the second it expires; expired ones too.
    pub(super) fn find_mut(&mut self, key: &str) -> Option<(UnixTime, &mut V)> {
        self.values.get_mut(key).map(|(expires, value)| (*expires, value))
    }

    /// Takes the value away: what is used once.
    pub(super) fn take(&mut self, key: &str, now: UnixTime) -> Option<V> {
        self.values.remove(key).filter(|(expires, _)| now < *expires).map(|(_, value)| value)
    }

    /// The key of the first value that `matches`, expired ones too.
    pub(super) fn key_of(&self, matches: impl Fn(&V) -> bool) -> Option<String> {
        self.values.iter().find(|(_, (_, value))| matches(value)).map(|(key, _)| key.clone())
    }

    /// Drops every value that is not to be `kept`.
    pub(super) fn retain(&mut self, kept: impl Fn(&V) -> bool) {
        self.values.retain(|_, (_, value)| kept(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_there_until_its_second_and_taken_once() {
        let mut shelf = TtlMap::new(4);
        shelf.put("a".to_owned(), 10, 1);
        assert_eq!(shelf.find("a", 9), Some(&1));
        assert_eq!(shelf.find("a", 10), None);
        assert_eq!(shelf.take("a", 9), Some(1));
        assert_eq!(shelf.take("a", 9), None);
    }

    #[test]
    fn a_full_shelf_drops_its_oldest() {
        let mut shelf = TtlMap::new(2);
        for (key, value) in [("a", 1), ("b", 2), ("c", 3)] {
            shelf.put(key.to_owned(), 10, value);
        }
        assert_eq!((shelf.find("a", 0), shelf.find("b", 0), shelf.find("c", 0)), (None, Some(&2), Some(&3)));
    }
}
