//! The store in a file: what it keeps, and what it refuses.

mod child;
mod crash;
mod disk;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use huggate::clock::Clock;
use huggate::store::{FileStore, FileStoreError, OwnerKey, SessionKey, SessionRecord, SessionStore};
use huggate::testing::store_conformance;

use crate::stores::file::child::Child;

fn key(number: u64) -> SessionKey {
    SessionKey::from_bytes((u128::from(number) * 0x9e37_79b9_7f4a_7c15_f39c_c060).to_be_bytes())
}

/// A record whose content follows from its number and revision.
fn record(number: u64, revision: u64) -> SessionRecord {
    let size = usize::try_from(500 + number % 5 * 900 + revision).unwrap();
    let owner = OwnerKey::from_bytes(u128::from(number % 9).to_be_bytes());
    let now = Clock::system().now();
    let sealed = vec![(number * 7 + revision) as u8; size];
    SessionRecord::new(owner, sealed.into(), vec![1; 20].into(), now, now + 3_600)
}

/// Why the file at `path` is not opened.
fn refusal(path: &Path) -> String {
    FileStore::open(path).unwrap_err().to_string()
}

#[tokio::test]
async fn it_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path().join("sessions.redb")).unwrap();
    store_conformance(store.clone(), store).await;
}

#[tokio::test]
async fn sessions_go_on_after_a_restart_and_ended_ones_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let now = Clock::system().now();
    let store = FileStore::open(&path).unwrap();
    for number in 0..250 {
        store.create(key(number), record(number, 1), now).await.unwrap();
    }
    store.touch(key(1), now + 7, now + 9_000, now).await.unwrap();
    assert!(store.end(key(2)).await.unwrap());
    let stored = store.load(key(1), now).await.unwrap().unwrap();
    assert_eq!((stored.record.last_used, stored.record.expires), (now + 7, now + 9_000));
    // The last handle waits until everything is written, and the file is free then.
    drop(store);
    let store = FileStore::open(&path).unwrap();
    assert_eq!(store.load(key(1), now).await.unwrap(), Some(stored));
    assert_eq!(store.load(key(2), now).await.unwrap(), None);
    let first = store.list(None, None, now).await.unwrap();
    let second = store.list(None, first.next, now).await.unwrap();
    let third = store.list(None, second.next, now).await.unwrap();
    assert_eq!((first.sessions.len(), second.sessions.len(), third.sessions.len()), (100, 100, 49));
    assert_eq!(third.next, None);
    // Nobody else reads it, and no other file is left beside it.
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_session_that_is_too_large_is_refused_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path().join("sessions.redb")).unwrap();
    let now = Clock::system().now();
    let mut large = record(1, 1);
    large.sealed = vec![0; SessionRecord::MAX_SEALED + 1].into();
    assert!(!store.create(key(1), large, now).await.unwrap_err().is_unavailable());
    store.create(key(1), record(1, 1), now).await.unwrap();
}

#[test]
fn a_second_store_on_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sessions.redb");
    let store = FileStore::open(&path).unwrap();
    let expected = format!("the session file {} is in use by another process", path.display());
    assert!(refusal(&path).starts_with(&expected), "{}", refusal(&path));
    drop(store.clone());
    assert!(refusal(&path).starts_with(&expected));
    drop(store);
    // One of another process.
    let mut child = Child::start("stores::file::child::open_it", &path);
    assert_eq!(child.line().as_deref(), Some("open"));
    assert!(refusal(&path).starts_with(&expected));
    child.kill();
    FileStore::open(&path).unwrap();
}

#[test]
fn other_files_are_refused_with_a_remedy_and_stay() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let contents: [(&str, &[u8]); 3] =
        [("text", b"client_id = 7\n"), ("zeros", &[0; 4096]), ("short", b"redb")];
    for (name, content) in contents {
        fs::write(at(name), content).unwrap();
        let refusal = refusal(&at(name));
        assert!(refusal.contains("is not a session file of huggate"), "{refusal}");
        assert_eq!(fs::read(at(name)).unwrap(), content);
    }
    assert!(refusal(folder.path()).contains("is a directory: name a file in it"));
    assert!(refusal(&at("missing/sessions")).contains("does not exist: create it"));
    assert!(refusal(Path::new("/proc/huggate-sessions")).contains("/proc/huggate-sessions"));
    // An empty one, made beforehand, becomes a store.
    fs::write(at("empty"), b"").unwrap();
    drop(FileStore::open(at("empty")).unwrap());
    // A damaged one is refused, or opened with what is whole; it does not end the process.
    let whole = fs::read(at("empty")).unwrap();
    for byte in (9..whole.len()).step_by(97) {
        let mut damaged = whole.clone();
        damaged[byte] ^= 0x55;
        fs::write(at("damaged"), &damaged).unwrap();
        match FileStore::open(at("damaged")) {
            Ok(store) => drop(store),
            Err(error) => assert!(!matches!(error, FileStoreError::InUse { .. }), "{error}"),
        }
    }
}
