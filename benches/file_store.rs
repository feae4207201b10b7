//! Figures of the store in a file, with as many sessions as the first argument says (100,000):
//! `cargo bench --bench file_store`. A second argument names the directory; what counts is the
//! disk under it.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "it prints figures, and says where it fails")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::iter;
use huggate::clock::{Clock, UnixTime};
use huggate::store::{FileStore, OwnerKey, SessionKey, SessionRecord, SessionStore};

/// The bytes of a usual record.
const SEALED: usize = 1_500;
/// Calls under way at once.
const AT_ONCE: usize = 256;

fn key(number: usize) -> SessionKey {
    // Keys are hashes: spread, and in no order.
    let spread = (number as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    SessionKey::from_bytes(spread.to_be_bytes())
}

fn record(number: usize, now: UnixTime) -> SessionRecord {
    let owner = OwnerKey::from_bytes((number as u128 % 1_000).to_be_bytes());
    SessionRecord::new(owner, vec![number as u8; SEALED].into(), vec![0; 200].into(), now, now + 86_400)
}

fn megabytes(path: &Path) -> f64 {
    std::fs::metadata(path).unwrap().len() as f64 / 1e6
}

fn print(what: &str, took: Duration, path: &Path) {
    println!("{what:44} {:>9.1} ms  file {:>7.1} MB", took.as_secs_f64() * 1e3, megabytes(path));
}

/// The times of loads, in microseconds: middle, 99th of a hundred, longest.
async fn loads(store: &FileStore, count: usize, sessions: usize, now: UnixTime) -> String {
    let mut times = Vec::new();
    for number in 0..count {
        let begun = Instant::now();
        let loaded = store.load(key(number * 7_919 % sessions), now).await.unwrap();
        times.push(begun.elapsed());
        assert!(loaded.is_some());
        tokio::task::yield_now().await;
    }
    times.sort_unstable();
    let at = |part: usize| times.get(part).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    format!("{:.1} / {:.1} / {:.1} us", at(count / 2), at(count * 99 / 100), at(count - 1))
}

async fn one_at_a_time(store: &FileStore, now: UnixTime, sessions: usize) {
    let begun = Instant::now();
    for number in 0..100 {
        store.create(key(sessions + number), record(number, now), now).await.unwrap();
    }
    println!("{:44} {:>9.2} ms", "create, one at a time", begun.elapsed().as_secs_f64() * 10.0);
    let begun = Instant::now();
    for number in 0..1_000 {
        store.touch(key(number), now + 1, now + 86_401, now).await.unwrap();
    }
    println!("{:44} {:>9.3} ms", "touch, one at a time", begun.elapsed().as_secs_f64());
}

/// Lists all, and ends ten pages at once.
async fn end_all(store: &FileStore, now: UnixTime) -> usize {
    let (mut ended, mut after) = (0, None);
    loop {
        let mut keys = Vec::new();
        for _ in 0..10 {
            let page = store.list(None, after, now).await.unwrap();
            keys.extend(page.sessions.into_iter().map(|(key, _)| key));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        ended += keys.len();
        futures_util::future::join_all(keys.into_iter().map(|key| store.end(key))).await;
        if after.is_none() {
            return ended;
        }
    }
}

async fn run(sessions: usize, directory: &Path) {
    let (path, now) = (directory.join("sessions.redb"), Clock::system().now());
    let store = FileStore::open(&path).unwrap();
    let begun = Instant::now();
    iter(0..sessions)
        .for_each_concurrent(AT_ONCE, |number| {
            let store = &store;
            async move { store.create(key(number), record(number, now), now).await.unwrap() }
        })
        .await;
    print(&format!("create {sessions}, {AT_ONCE} at once"), begun.elapsed(), &path);
    one_at_a_time(&store, now, sessions).await;
    println!("load, middle / 99 % / longest: {}", loads(&store, 20_000, sessions, now).await);
    let writing = Arc::new(AtomicBool::new(true));
    let writer = tokio::spawn({
        let (store, writing) = (store.clone(), Arc::clone(&writing));
        async move {
            let mut number = sessions * 2;
            while writing.load(Ordering::Relaxed) {
                let group = (number..number + 32).map(|n| store.create(key(n), record(n, now), now));
                futures_util::future::join_all(group).await;
                number += 32;
            }
            number - sessions * 2
        }
    });
    println!("load beside writes:            {}", loads(&store, 20_000, sessions, now).await);
    writing.store(false, Ordering::Relaxed);
    println!("written meanwhile: {}", writer.await.unwrap());
    let copy = directory.join("killed.redb");
    std::fs::copy(&path, &copy).unwrap();
    let begun = Instant::now();
    drop(store);
    print("close", begun.elapsed(), &path);
    let begun = Instant::now();
    drop(FileStore::open(&copy).unwrap());
    print("open and close a copy made while it was open", begun.elapsed(), &copy);
    let begun = Instant::now();
    let store = FileStore::open(&path).unwrap();
    print("open", begun.elapsed(), &path);
    let begun = Instant::now();
    let person = OwnerKey::from_bytes(7_u128.to_be_bytes());
    let (mut listed, mut after) = (0, None);
    loop {
        let page = store.list(Some(person), after, now).await.unwrap();
        listed += page.sessions.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    print(&format!("list one person's {listed}"), begun.elapsed(), &path);
    let ending = Arc::new(AtomicBool::new(true));
    let reader = tokio::spawn({
        let (store, ending) = (store.clone(), Arc::clone(&ending));
        async move {
            let mut longest = Duration::ZERO;
            while ending.load(Ordering::Relaxed) {
                let begun = Instant::now();
                store.load(key(7), now).await.unwrap();
                longest = longest.max(begun.elapsed());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            longest
        }
    });
    let begun = Instant::now();
    let ended = end_all(&store, now).await;
    print(&format!("list and end all {ended}"), begun.elapsed(), &path);
    ending.store(false, Ordering::Relaxed);
    println!("longest load meanwhile, with compacting: {:?}", reader.await.unwrap());
    let begun = Instant::now();
    drop(store);
    print("close", begun.elapsed(), &path);
    let begun = Instant::now();
    let store = FileStore::open(&path).unwrap();
    print("open", begun.elapsed(), &path);
    drop(store);
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let sessions = arguments.next().map_or(100_000, |number| number.parse().unwrap());
    let directory = match arguments.next() {
        Some(parent) => tempfile::tempdir_in(parent).unwrap(),
        None => tempfile::tempdir().unwrap(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(run(sessions, directory.path()));
}
