//! How long the database may take to answer.

use std::{io, time::Duration};

use futures_util::FutureExt;
use tokio::time::timeout;

/// How long one attempt to connect may take.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a small request, such as finding or creating a document, may take before the database
/// counts as unreachable.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one large read or write may take: a snapshot of 64 MiB over a slow line.
pub(super) const TRANSFER_TIMEOUT: Duration = Duration::from_secs(30);

/// Waits for `work` for at most `limit`, then fails as if the connection had broken.
pub(super) fn bounded<T>(
    limit: Duration,
    work: impl Future<Output = sqlx::Result<T>>,
) -> impl Future<Output = sqlx::Result<T>> {
    // Not an async function, which would hold `work` twice.
    timeout(limit, work)
        .map(|ended| ended.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())))
}
