//! A disk that is really full.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use huggate::clock::Clock;
use huggate::store::{FileStore, SessionStore};

use super::child::{Child, given, say};
use super::{key, record};

/// Mounts a disk of four megabytes where the first argument says, and becomes the rest.
const ON_A_SMALL_DISK: &str = r#"mount -t tmpfs -o size=4m none "$0" && exec "$@""#;

#[test]
#[ignore = "needs unshare and user namespaces: run ./scripts/test"]
fn a_full_disk_loses_nothing_and_the_store_goes_on_once_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let mut small = Command::new("unshare");
    small.args(["--user", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK]);
    small.arg(folder.path()).arg(std::env::current_exe().unwrap());
    let mut child = Child::run(small, "stores::file::disk::fill_it", &folder.path().join("sessions.redb"));
    let said: Vec<String> = std::iter::from_fn(|| child.line()).collect();
    assert!(child.passed(), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("it goes on"), "{said:?}");
}

#[tokio::test]
#[ignore = "a child process of another test"]
async fn fill_it() {
    let Some(path) = given() else { return };
    let ballast = path.with_extension("ballast");
    std::fs::write(&ballast, vec![1; 1024 * 1024]).unwrap();
    let now = Clock::system().now();
    let store = FileStore::open(&path).unwrap();
    let mut stored = 0;
    let error = loop {
        match store.create(key(stored), record(stored, 1), now).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
    };
    assert!(error.is_unavailable());
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("No space left on device"), "{cause}");
    say(&format!("full after {stored}: {cause}"));
    assert!(stored > 100, "{stored}");
    match store.load(key(0), now).await {
        Ok(loaded) => say(&format!("loaded while full: {}", loaded.is_some())),
        Err(error) => say(&format!("not loaded while full: {error:?}")),
    }
    std::fs::remove_file(&ballast).unwrap();
    let working = async {
        while store.create(key(stored), record(stored, 1), now).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), working).await.expect("it stays away");
    check(&store, stored, now).await;
    drop(store);
    reopen(&path, stored, now).await;
    say("it goes on");
}

async fn reopen(path: &Path, stored: u64, now: u64) {
    check(&FileStore::open(path).unwrap(), stored, now).await;
}

async fn check(store: &FileStore, stored: u64, now: u64) {
    for number in 0..=stored {
        let loaded = store.load(key(number), now).await.unwrap();
        assert!(loaded.is_some_and(|loaded| loaded.record.sealed == record(number, 1).sealed), "{number}");
    }
}
