//! The threads on which everything runs.

use std::{io, time::Duration};

/// yrs recurses as deep as a hostile document nests, and any worker may run it.
/// Only what is touched takes memory.
const STACK_BYTES: usize = 256 * 1024 * 1024;
/// How long threads that are still busy may hold up the end.
const LAST_THREADS_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs `work` to its end, and then whatever else it started for half a second at most.
///
/// # Errors
/// The threads cannot be started.
pub fn run<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(LAST_THREADS_TIMEOUT);
    Ok(outcome)
}
