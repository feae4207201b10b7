//! A process that is killed loses nothing that was answered.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::process::Command;
use std::time::Duration;

use huggate::clock::Clock;
use huggate::store::{FileStore, OwnerKey, SessionKey, SessionStore, StoredSession};

use super::child::Child;
use super::{key, record};

/// The last answer about a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Answered {
    Created,
    Updated,
    Ended,
}

/// Between nothing and `most`.
fn some_time(most: u64) -> Duration {
    Duration::from_micros(RandomState::new().hash_one(0) % (most * 1_000))
}

/// Kills `child` after `delay`, and reads what it was answered until then.
fn answers(mut child: Child, delay: Duration, answered: &mut BTreeMap<u64, Answered>) {
    let id = child.id().to_string();
    let killer = std::thread::spawn(move || {
        std::thread::sleep(delay);
        // It may not have started to write, or be about to.
        assert!(Command::new("kill").args(["-9", &id]).status().unwrap().success());
    });
    while let Some(line) = child.line() {
        let Some((what, number)) = line.split_once(' ') else { continue };
        let answer = match what {
            "created" => Answered::Created,
            "updated" => Answered::Updated,
            _ => Answered::Ended,
        };
        answered.insert(number.parse().unwrap(), answer);
    }
    killer.join().unwrap();
}

async fn listed(store: &FileStore, of: Option<OwnerKey>, now: u64) -> BTreeMap<SessionKey, StoredSession> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.list(of, after, now).await.unwrap();
        for (key, stored) in page.sessions {
            assert!(all.insert(key, stored).is_none(), "{key} is listed twice");
        }
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

/// Each answered change is there, and each session as a whole.
async fn check(store: &FileStore, answered: &BTreeMap<u64, Answered>) {
    let now = Clock::system().now();
    let all = listed(store, None, now).await;
    for (number, answer) in answered {
        let stored = all.get(&key(*number)).map(|stored| stored.revision.number());
        // The next change may be stored without an answer.
        let expected: &[Option<u64>] = match answer {
            Answered::Created => &[Some(1), Some(2)],
            Answered::Updated if number % 3 == 0 => &[Some(2), None],
            Answered::Updated => &[Some(2)],
            Answered::Ended => &[None],
        };
        assert!(expected.contains(&stored), "{number} is {stored:?} after {answer:?}");
    }
    let mut owned = 0;
    for owner in 0..9_u128 {
        owned += listed(store, Some(OwnerKey::from_bytes(owner.to_be_bytes())), now).await.len();
    }
    assert_eq!(owned, all.len(), "the sessions by person are the same as all");
    let mut unknown = 0;
    for (key, stored) in &all {
        let number = answered.keys().find(|number| self::key(**number) == *key);
        let Some(number) = number else {
            // Created, and killed before the answer was said.
            unknown += 1;
            continue;
        };
        let expected = record(*number, stored.revision.number());
        assert!(stored.record.sealed == expected.sealed, "{number} is whole");
        assert_eq!(stored.record.owner, expected.owner);
    }
    assert!(unknown <= 24 * ROUNDS, "{unknown}");
}

const ROUNDS: u64 = 24;

#[tokio::test]
async fn whenever_the_process_is_killed_what_was_answered_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let (mut answered, mut killed_writing) = (BTreeMap::new(), 0);
    for round in 0..ROUNDS {
        let path = folder.path().join(format!("sessions.{round}"));
        let mut child = Child::start("stores::file::child::write_until_killed", &path);
        // Every third is killed while it starts: while it makes the file, or repairs it.
        if round % 3 != 0 {
            assert_eq!(child.line().as_deref(), Some("open"));
        }
        let before = answered.len();
        answers(child, some_time(if round % 3 == 0 { 40 } else { 150 }), &mut answered);
        killed_writing += usize::from(answered.len() > before);
        let store = FileStore::open(folder.path().join("sessions.redb")).unwrap();
        check(&store, &answered).await;
    }
    assert!(killed_writing >= 12, "{killed_writing} of {ROUNDS} were killed while they wrote");
    assert!(answered.values().any(|answer| *answer == Answered::Ended));
}
