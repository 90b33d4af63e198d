//! How many connections the process can have: each takes a file descriptor.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// The descriptors that are left for files, the database and requests to other servers.
const RESERVED: usize = 256;
/// The number that is assumed where the system has no limit.
const UNLIMITED: usize = 1 << 20;

/// Raises the limit of open files to the highest one that the process may set, and returns how many
/// connections that leaves room for: all but 256, or at least half of them. Logs it as a warning
/// if these are fewer than `wanted`.
pub fn connections_max(wanted: usize) -> usize {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "the limit of open files cannot be raised");
    }
    let files = getrlimit(Resource::Nofile).current;
    let files = files.map_or(UNLIMITED, |files| {
        usize::try_from(files).unwrap_or(UNLIMITED)
    });
    let connections = files.saturating_sub(RESERVED).max(files / 2);
    match connections < wanted {
        true => warn!(
            files,
            connections,
            wanted,
            "the limit of open files allows fewer connections than CONNECTIONS_MAX; \
             see docs/operations.md, Connections"
        ),
        false => info!(files, "open files are limited"),
    }
    connections
}
