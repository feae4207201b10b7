//! The store over a disk that fails, and over files of other versions.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, TableDefinition};

use super::super::contract::SessionStore;
use super::super::identifier::{OwnerKey, Revision, SessionKey};
use super::super::stored::{SessionRecord, Update};
use super::backend::LockedFile;
use super::encoding::{Record, Times};
use super::error::FileStoreError;
use super::opening;
use super::store::FileStore;
use super::tables::{FORMAT, largest_size};
use crate::clock::Clock;

const NOW: u64 = 1_790_000_000;

fn key(number: u64) -> SessionKey {
    SessionKey::from_bytes((u128::from(number) * 0x9e37_79b9_7f4a_7c15_f39c_c060).to_be_bytes())
}

fn record(number: u64, size: usize, expires: u64) -> SessionRecord {
    let owner = OwnerKey::from_bytes(u128::from(number % 7).to_be_bytes());
    SessionRecord::new(owner, vec![number as u8; size].into(), Bytes::from_static(b"summary"), NOW, expires)
}

/// A store, and its disk.
fn faulty(path: &Path) -> (LockedFile, FileStore) {
    let (file, database) = opening::open(path).unwrap();
    (file.clone(), FileStore::start(path.to_owned(), file, database, Clock::manual(NOW)).unwrap())
}

async fn until_it_works(store: &FileStore, number: u64) {
    let trying = async {
        while store.create(key(number), record(number, 100, NOW + 60), NOW).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), trying).await.expect("the store does not work again");
}

#[tokio::test]
async fn whichever_write_fails_what_was_answered_is_there_and_the_store_works_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let (disk, store) = faulty(&path);
    let mut stored = BTreeMap::new();
    let (mut number, mut failures) = (0, 0);
    for calls in 0..60 {
        disk.faults().fail_after(calls);
        for _ in 0..4 {
            number += 1;
            match store.create(key(number), record(number, 3_000, NOW + 60), NOW).await {
                Ok(()) => drop(stored.insert(number, true)),
                Err(error) => {
                    assert!(error.is_unavailable(), "{error:?}");
                    failures += 1;
                }
            }
        }
        // Another process does not get the file meanwhile.
        assert!(matches!(FileStore::open(&path), Err(FileStoreError::InUse { .. })));
        disk.faults().clear();
        number += 1;
        until_it_works(&store, number).await;
        stored.insert(number, true);
        for number in stored.keys() {
            assert!(store.load(key(*number), NOW).await.unwrap().is_some(), "{number}, after {calls}");
        }
    }
    assert!(failures > 60, "{failures}");
    drop(store);
    drop(disk);
    let store = FileStore::open_with_clock(&path, Clock::manual(NOW)).unwrap();
    for number in stored.keys() {
        assert!(store.load(key(*number), NOW).await.unwrap().is_some(), "{number}, opened again");
    }
}

#[tokio::test]
async fn a_full_disk_is_unavailable_with_its_cause_and_sessions_are_still_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = faulty(&folder.path().join("sessions"));
    let mut stored = Vec::new();
    for number in 0..100 {
        store.create(key(number), record(number, 3_000, NOW + 60), NOW).await.unwrap();
        stored.push(number);
    }
    // The file cannot grow any more.
    disk.faults().room_for(disk.size().unwrap());
    let error = loop {
        let number = stored.len() as u64;
        match store.create(key(number), record(number, 3_000, NOW + 60), NOW).await {
            Ok(()) => stored.push(number),
            Err(error) => break error,
        }
    };
    assert!(error.is_unavailable());
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("no storage space"), "{cause}");
    for _ in 0..5 {
        // Writes are refused before the file is touched, so that it need not be opened again.
        assert!(
            store.create(key(9_999), record(1, 200_000, NOW + 60), NOW).await.unwrap_err().is_unavailable()
        );
        for number in &stored {
            assert!(store.load(key(*number), NOW).await.unwrap().is_some());
        }
    }
    disk.faults().clear();
    until_it_works(&store, 9_999).await;
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the file");
    for number in &stored {
        assert!(store.end(key(*number)).await.unwrap());
    }
}

#[tokio::test]
async fn changes_at_the_same_time_share_a_sync_and_uses_wait_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let (disk, store) = faulty(&folder.path().join("sessions"));
    let all = (0..500).map(|number| store.create(key(number), record(number, 100, NOW + 60), NOW));
    futures_util::future::join_all(all).await.into_iter().for_each(Result::unwrap);
    let syncs = disk.faults().syncs();
    // Some are for the file, which grows.
    assert!(syncs < 50, "{syncs}");
    let begun = std::time::Instant::now();
    for number in 0..200 {
        store.touch(key(number), NOW + 1, NOW + 61, NOW).await.unwrap();
    }
    let (uses, seconds) = (disk.faults().syncs() - syncs, begun.elapsed().as_secs());
    assert!(uses <= 2 * (seconds + 1), "{uses} in {seconds} s");
    let synced = async {
        while disk.faults().syncs() == syncs + uses {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), synced).await.expect("the uses are not written");
}

#[tokio::test]
async fn short_lives_leave_the_file_small() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let clock = Clock::manual(NOW);
    let store = FileStore::open_with_clock(&path, clock.clone()).unwrap();
    let mut largest = 0;
    for round in 0..60 {
        let now = clock.now();
        let calls = (0..300).map(|number| {
            let number = round * 1_000 + number;
            let size = [700, 2_000, 9_000][usize::try_from(number % 3).unwrap()];
            store.create(key(number), record(number, size, now + 10), now)
        });
        for created in futures_util::future::join_all(calls).await {
            created.unwrap();
        }
        // A use moves the end of every tenth.
        for number in (0..300).step_by(10) {
            store.touch(key(round * 1_000 + number), now, now + 15, now).await.unwrap();
        }
        largest = largest.max(std::fs::metadata(&path).unwrap().len());
        clock.advance(Duration::from_secs(10));
    }
    // 150 MB were written. Two rounds live at once, of 3 kB to 19 kB in the file each.
    assert!(largest < largest_size(600 * 10 * 1024), "{largest}");
    assert_eq!(count(&store, 0).await, 330, "expired sessions are removed, and no others");
    clock.advance(Duration::from_secs(60));
    store.create(key(1), record(1, 100, clock.now() + 60), clock.now()).await.unwrap();
    assert_eq!(count(&store, 0).await, 1);
}

async fn count(store: &FileStore, now: u64) -> usize {
    let (mut count, mut after) = (0, None);
    loop {
        let page = store.list(None, after, now).await.unwrap();
        count += page.sessions.len();
        after = page.next;
        if after.is_none() {
            return count;
        }
    }
}

#[tokio::test]
async fn the_disk_gets_back_what_many_sessions_took() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let store = FileStore::open_with_clock(&path, Clock::manual(NOW)).unwrap();
    let size = || std::fs::metadata(&path).unwrap().len();
    let all = (0..600).map(|number| store.create(key(number), record(number, 60_000, NOW + 60), NOW));
    futures_util::future::join_all(all).await.into_iter().for_each(Result::unwrap);
    assert!(size() > 600 * 60_000);
    let most = (5..600).map(|number| store.end(key(number)));
    futures_util::future::join_all(most).await.into_iter().for_each(|ended| assert!(ended.unwrap()));
    let shrinking = async {
        while size() > largest_size(5 * 70_000) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), shrinking).await.expect("the file stays large");
    assert_eq!(count(&store, NOW).await, 5);
}

#[tokio::test]
async fn a_large_file_with_few_sessions_is_compacted_when_it_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let store = FileStore::open_with_clock(&path, Clock::manual(NOW)).unwrap();
    // More than is compacted while the store is open remains.
    let all = (0..600).map(|number| store.create(key(number), record(number, 120_000, NOW + 60), NOW));
    futures_util::future::join_all(all).await.into_iter().for_each(Result::unwrap);
    let most = (0..600).filter(|number| number % 12 != 0).map(|number| store.end(key(number)));
    futures_util::future::join_all(most).await.into_iter().for_each(|ended| assert!(ended.unwrap()));
    drop(store);
    let before = std::fs::metadata(&path).unwrap().len();
    let store = FileStore::open_with_clock(&path, Clock::manual(NOW)).unwrap();
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(before > largest_size(50 * 133_000), "{before}");
    assert!(after < largest_size(50 * 133_000), "{after}");
    assert_eq!(count(&store, NOW).await, 50);
}

#[tokio::test]
async fn a_file_of_a_newer_format_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    drop(FileStore::open(&path).unwrap());
    let database = Database::open(&path).unwrap();
    let writing = database.begin_write().unwrap();
    let meta = TableDefinition::<&str, u64>::new("huggate");
    writing.open_table(meta).unwrap().insert("format", FORMAT + 1).unwrap();
    writing.commit().unwrap();
    drop(database);
    let error = FileStore::open(&path).unwrap_err();
    assert!(error.to_string().contains("has format 2, and this version of huggate reads formats up to 1"));
    assert!(Database::open(&path).is_ok());
}

#[tokio::test]
async fn what_a_newer_version_appended_is_skipped_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions");
    let store = FileStore::open_with_clock(&path, Clock::manual(NOW)).unwrap();
    store.create(key(1), record(1, 100, NOW + 60), NOW).await.unwrap();
    drop(store);
    let (sessions, times) = (
        TableDefinition::<&[u8; 16], &[u8]>::new("sessions"),
        TableDefinition::<&[u8; 16], &[u8]>::new("times"),
    );
    let database = Database::open(&path).unwrap();
    let writing = database.begin_write().unwrap();
    for table in [sessions, times] {
        let mut table = writing.open_table(table).unwrap();
        let mut value = table.remove(key(1).as_bytes()).unwrap().unwrap().value().to_vec();
        value[0] = 2;
        value.extend(b"newer");
        table.insert(key(1).as_bytes(), &*value).unwrap();
    }
    writing.commit().unwrap();
    drop(database);
    let store = FileStore::open_with_clock(&path, Clock::manual(NOW)).unwrap();
    let stored = store.load(key(1), NOW).await.unwrap().unwrap();
    assert_eq!(stored.record, record(1, 100, NOW + 60));
    store.touch(key(1), NOW + 1, NOW + 90, NOW).await.unwrap();
    let update = store.update(key(1), Revision::FIRST, record(2, 50, NOW), NOW).await.unwrap();
    assert_eq!(update, Update::Done);
    let expected = SessionRecord { last_used: NOW + 1, expires: NOW + 90, ..record(2, 50, NOW) };
    assert_eq!(store.load(key(1), NOW).await.unwrap().unwrap().record, expected);
    drop(store);
    let database = Database::open(&path).unwrap();
    let sessions = database.begin_read().unwrap().open_table(sessions).unwrap();
    let value = sessions.get(key(1).as_bytes()).unwrap().unwrap();
    assert_eq!(Record::decode(value.value()).unwrap().appended, b"newer");
}

#[test]
fn truncated_values_are_none() {
    let whole = Record::of(&record(1, 100, NOW), Revision::FIRST).encode();
    let times = Times::of(&record(1, 100, NOW)).encode();
    for length in 0..whole.len() {
        assert!(Record::decode(&whole[..length]).is_none(), "{length}");
    }
    for length in 0..times.len() {
        assert!(Times::decode(&times[..length]).is_none(), "{length}");
    }
    assert!(Record::decode(&whole).is_some() && Times::decode(&times).is_some());
}
