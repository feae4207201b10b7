//! A disk that fails, for tests.

use std::io;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What fails. Nothing at first.
#[derive(Debug)]
pub(super) struct Faults {
    /// The calls that still succeed; negative: all.
    left: AtomicI64,
    /// The largest offset that can be written.
    room: AtomicU64,
    /// The syncs until now.
    syncs: AtomicU64,
}

impl Default for Faults {
    fn default() -> Self {
        Self { left: AtomicI64::new(-1), room: AtomicU64::new(u64::MAX), syncs: AtomicU64::new(0) }
    }
}

impl Faults {
    /// After `calls` more, all writes and syncs fail.
    pub(super) fn fail_after(&self, calls: i64) {
        self.left.store(calls, Ordering::SeqCst);
    }

    /// The disk has room for a file of `size` bytes.
    pub(super) fn room_for(&self, size: u64) {
        self.room.store(size, Ordering::SeqCst);
    }

    /// Nothing fails any more.
    pub(super) fn clear(&self) {
        self.fail_after(-1);
        self.room_for(u64::MAX);
    }

    /// The syncs until now.
    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    pub(super) fn check_sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::SeqCst);
        self.check(0)
    }

    pub(super) fn check(&self, end: u64) -> io::Result<()> {
        if end > self.room.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let left = self.left.load(Ordering::SeqCst);
        if left == 0 {
            return Err(io::Error::other("the disk failed"));
        }
        if left > 0 {
            self.left.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(())
    }
}
