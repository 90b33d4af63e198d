//! The asynchronous runtime and its threads.

use std::{io, time::Duration};

/// The stack of each thread. yrs recurses as deep as a hostile document is nested, and any
/// worker may run it. Only the part of a stack that is used takes memory.
const STACK_BYTES: usize = 256 * 1024 * 1024;
/// How long threads that are still busy may delay the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Runs `work` to its end, and then lets its remaining tasks finish for half a second at most.
///
/// # Errors
/// The threads cannot be started.
pub fn run<T>(work: impl Future<Output = T>) -> io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    Ok(outcome)
}
