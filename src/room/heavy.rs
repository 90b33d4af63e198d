//! Work that grows with the document: how it runs without blocking other tasks, and how much of it
//! runs at once.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// Work on this many bytes or more moves the thread's other tasks away first.
pub(super) const HEAVY_BYTES: usize = 64 * 1024;
/// Updates of this size, and costly ones, are applied one at a time in the whole process,
/// so that they take one core at most, and their temporary memory is taken only once.
pub(super) const LARGE_BYTES: usize = 512 * 1024;
static LARGE: Mutex<()> = Mutex::new(());
/// An update that may cost this much is applied like a large one.
pub(super) const COSTLY: Duration = Duration::from_millis(2);

/// Runs `work` on `size` bytes without blocking other tasks of the thread.
pub(super) fn run_heavy<T>(size: usize, work: impl FnOnce() -> T) -> T {
    if size < HEAVY_BYTES {
        work()
    } else {
        tokio::task::block_in_place(work)
    }
}

/// Takes the lock of large updates, and adds to `waited` how long that took.
pub(super) fn lock_large(waited: &mut Duration) -> MutexGuard<'static, ()> {
    let began = Instant::now();
    let lock = LARGE.lock();
    *waited += began.elapsed();
    lock
}
