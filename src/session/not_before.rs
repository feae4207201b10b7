//! From when on the sessions of a person count, where the cookie contains the session: what
//! began before is refused.
//!
//! Nobody can delete a cookie from a browser that does not ask. So an operator, and a person
//! who signs out everywhere, set a time: sessions that began at that time or earlier have
//! ended. It is kept until the last of them would have ended by itself.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::record::Session;
use crate::clock::UnixTime;
use crate::keys::Keyring;

/// Names whose sessions an entry is about: a hash of an account id, a user name, or of all.
pub(super) type Tag = [u8; 16];

/// The people whose sessions end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Whose<'a> {
    Everybody,
    Account(&'a str),
    /// An account id, or a user name in any spelling.
    Person(&'a str),
}

/// Until when sessions that have begun are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// A session that began then or earlier has ended.
    pub(super) not_before: UnixTime,
    /// From then on no such session would be in force.
    pub(super) expires: UnixTime,
}

/// Every entry.
pub(super) type Table = HashMap<Tag, Entry>;

/// The table of this process.
pub(super) struct NotBefore {
    keyring: Arc<Keyring>,
    table: Arc<ArcSwap<Table>>,
}

impl NotBefore {
    pub(super) fn new(keyring: Arc<Keyring>) -> Self {
        Self { keyring, table: Arc::default() }
    }

    /// The same table, read with the secrets of `self`.
    pub(super) fn with_table_of(self, before: &Self) -> Self {
        Self { table: Arc::clone(&before.table), ..self }
    }

    pub(super) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Takes over entries; those that are known keep the later time.
    pub(super) fn merge(&self, entries: &Table, now: UnixTime) {
        self.table.rcu(|table| {
            let mut merged = Table::clone(table);
            merge(&mut merged, entries, now);
            // The same value where nothing is new, so that nobody looks at all sessions for it.
            if merged == **table { Arc::clone(table) } else { Arc::new(merged) }
        });
    }

    /// The entries by which sessions end that have begun until `now`. `apart` is how many
    /// seconds the clock may be ahead by which another process dated a session.
    pub(super) fn entries(&self, whose: Whose<'_>, (now, apart): (UnixTime, u64), max_age: u64) -> Table {
        // A session that began since a time of this second began a second later: `beginning`.
        let latest = self.table.load().values().map(|entry| entry.not_before).max().unwrap_or_default();
        let now = now.saturating_add(apart);
        let not_before = if latest < now { now } else { latest.saturating_add(1) };
        let entry = Entry { not_before, expires: not_before.saturating_add(max_age) };
        let tags = match whose {
            Whose::Everybody => self.tags(EVERYBODY),
            Whose::Account(sub) => self.tags(&account(sub)),
            Whose::Person(person) => [self.tags(&account(person)), self.tags(&username(person))].concat(),
        };
        tags.into_iter().map(|tag| (tag, entry)).collect()
    }

    /// Whether a session has ended.
    pub(super) fn has_ended(&self, session: &Session) -> bool {
        self.of(session).is_some_and(|not_before| session.began <= not_before)
    }

    /// When a session begins that begins `now`: after the time that ends those before, even
    /// where the clock of who set it is ahead.
    pub(super) fn beginning(&self, session: &Session, now: UnixTime) -> UnixTime {
        self.of(session).map_or(now, |not_before| now.max(not_before.saturating_add(1)))
    }

    /// The time until which the sessions of the same person have ended.
    fn of(&self, session: &Session) -> Option<UnixTime> {
        let table = self.table.load();
        if table.is_empty() {
            return None;
        }
        let person = &session.person;
        let names = [EVERYBODY.to_owned(), account(&person.sub), username(&person.username)];
        let tags = names.iter().flat_map(|name| self.tags(name));
        tags.filter_map(|tag| table.get(&tag)).map(|entry| entry.not_before).max()
    }

    /// One for each secret. An entry that was written under an earlier one counts.
    fn tags(&self, name: &str) -> Vec<Tag> {
        self.keyring.account_tags(name)
    }
}

const EVERYBODY: &str = "not before: everybody";

fn account(sub: &str) -> String {
    format!("not before: account {sub}")
}

fn username(name: &str) -> String {
    format!("not before: user name {}", name.to_ascii_lowercase())
}

/// Adds `entries` to `table`, which loses what has expired.
pub(super) fn merge(table: &mut Table, entries: &Table, now: UnixTime) {
    for (tag, new) in entries {
        let entry = table.entry(*tag).or_insert(*new);
        entry.not_before = entry.not_before.max(new.not_before);
        entry.expires = entry.expires.max(new.expires);
    }
    table.retain(|_, entry| entry.expires > now);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Secret;
    use crate::session::tests::session;

    fn not_before(secrets: &[u8]) -> NotBefore {
        let secrets: Vec<_> =
            secrets.iter().map(|byte| Secret::parse(&format!("{byte:02x}").repeat(32)).unwrap()).collect();
        NotBefore::new(Arc::new(Keyring::new(&secrets)))
    }

    #[test]
    fn sessions_of_whom_an_entry_names_end_if_they_began_until_then() {
        let ada = Session { began: 100, ..session() };
        let (sub, name) = (ada.person.sub.to_string(), ada.person.username.to_uppercase());
        for (whose, ends) in [
            (Whose::Everybody, true),
            (Whose::Account(&sub), true),
            (Whose::Person(&sub), true),
            (Whose::Person(&name), true),
            // The name is no account id.
            (Whose::Account(&name), false),
            (Whose::Person("grace"), false),
        ] {
            let table = not_before(&[1]);
            assert!(!table.has_ended(&ada));
            table.merge(&table.entries(whose, (100, 0), 50), 100);
            assert_eq!(table.has_ended(&ada), ends, "{whose:?}");
            assert!(!table.has_ended(&Session { began: 101, ..ada.clone() }));
            assert_eq!(table.beginning(&ada, 90), if ends { 101 } else { 90 });
            table.merge(&Table::new(), 150);
            assert!(table.table().is_empty());
        }
    }

    #[test]
    fn a_session_that_a_clock_ahead_has_dated_ends_as_well() {
        let table = not_before(&[1]);
        let ada = Session { began: 160, ..session() };
        table.merge(&table.entries(Whose::Person("ada"), (100, 60), 50), 100);
        assert!(table.has_ended(&ada));
        // She signs in again at once, and is signed out once more.
        let again = Session { began: table.beginning(&ada, 101), ..ada };
        assert!(!table.has_ended(&again));
        table.merge(&table.entries(Whose::Person("ada"), (101, 60), 50), 101);
        assert!(table.has_ended(&again));
    }

    #[test]
    fn entries_count_after_a_rotation_of_the_secret() {
        let (old, both) = (not_before(&[1]), not_before(&[2, 1]));
        let ada = Session { began: 100, ..session() };
        both.merge(&old.entries(Whose::Person("ada"), (100, 0), 50), 100);
        assert!(both.has_ended(&ada));
        // A replica with the secret before reads what the one with the next one wrote.
        old.merge(&both.entries(Whose::Everybody, (200, 0), 50), 200);
        assert!(old.has_ended(&Session { began: 200, ..ada }));
    }
}
